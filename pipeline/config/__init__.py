"""Parameters, their checks, and where everything lies."""
