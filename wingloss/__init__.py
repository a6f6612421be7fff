"""Wing loss for robust facial landmark localisation (Feng et al., CVPR 2018), as a library.

The science of the reproduction: arrays and tensors in, arrays and tensors out. Only the data-set
readers, the model files and the synthetic faces' shape model open files. Landmarks are float
arrays ``(..., L, 2)``, x then y, 0-based pixel centres; each docstring says which pixels.

What reads MATLAB's files (AFLW, COFW, 300W's official boxes), fits poses, renders faces, detects
them, grows regression trees or draws figures needs packages of the extra ``pipeline``.
"""
