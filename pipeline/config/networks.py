"""The networks that can be asked for, without their layers (``wingloss/models/networks.py``)."""

# The network that each stage of a run trains.
STAGES = {"cnn6": ("cnn6",), "cnn6_7": ("cnn6", "cnn7"), "resnet50": ("resnet50",)}
# The network of each key of `runs`.
NETWORKS = {"cnn6": "cnn6", "table2": "cnn6", "cnn6_7": "cnn6_7", "resnet50": "resnet50"}
# What the paper calls them.
TITLES = {"cnn6": "CNN-6", "cnn7": "CNN-7", "cnn6_7": "CNN-6/7", "resnet50": "ResNet-50"}
# Samples a second that one quiet Zen 4 thread trains.
SAMPLES_A_SECOND = {"cnn6": 330, "cnn7": 26, "resnet50": 6.5}
