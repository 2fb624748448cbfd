"""The service desk: the incidents of a car maker, replayed as a live feed."""
