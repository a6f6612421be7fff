"""Networks, their files, inference, and the correction between two stages."""
