"""Published data sets: found, downloaded, verified, unpacked."""
