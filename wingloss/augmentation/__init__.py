"""Random perturbations of training faces, on a processor and on a GPU."""
