"""Where rows come from: databases and files. Vendor packages load only when a table is read."""
