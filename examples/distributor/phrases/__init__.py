"""What customers write to the helpdesk, by the team that can help."""
