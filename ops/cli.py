"""The `tdu` command."""
