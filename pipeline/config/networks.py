"""The networks that can be asked for, without their layers (``wingloss/models/networks.py``)."""

# The network that each stage of a run trains.
STAGES = {
    "cnn6": ("cnn6",),
    "cnn6_7": ("cnn6", "cnn7"),
    "resnet50": ("resnet50",),
    "hourglass": ("hourglass",),
    "hourglass_plain": ("hourglass_plain",),
    "hourglass4": ("hourglass4",),
}
# What the papers call them.
TITLES = {
    "cnn6": "CNN-6",
    "cnn7": "CNN-7",
    "cnn6_7": "CNN-6/7",
    "resnet50": "ResNet-50",
    "hourglass": "one hourglass",
    "hourglass_plain": "one hourglass, no boundary",
    "hourglass4": "four hourglasses",
}
# Samples a second that one Zen 4 thread trains (docs/notes/performance.md);
# Zen 5 trains half as many again, or twice as many. Hourglasses': a busy Zen 5 thread.
SAMPLES_A_SECOND = {
    "cnn6": 246,
    "cnn7": 28,
    "resnet50": 7,
    "hourglass": 30,
    "hourglass_plain": 33,
    "hourglass4": 0.7,
}
# Those that predict heat maps; the others predict coordinates.
HEAT_MAPS = frozenset({"hourglass", "hourglass_plain", "hourglass4"})
# And those of them that predict the face's boundary too.
BOUNDED = frozenset({"hourglass", "hourglass4"})
