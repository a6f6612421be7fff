"""The command `wingloss`: landmarks in files of pictures and videos."""
