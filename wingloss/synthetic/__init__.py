"""The default data set: rendered 3D faces with 68 landmarks.

A face is a blend-shape model with a smooth surface through its control points, so the landmarks
lie on it by construction. It is posed, drawn with a z-buffer and lit with shadows.

Landmarks follow the annotators of 300W. Inner landmarks are points of the 3D head at every yaw,
hidden or not. The 17 contour landmarks mark the face's outline: on the side that is turned away,
each slides along the head's surface at its own height (on a parallel from ear to cheek) to where
that parallel is outermost in the picture.

Picture frame: pixels, 0-based pixel centres.
"""
