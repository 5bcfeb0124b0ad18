"""OpenCV, loaded where it is needed and kept to the thread that calls it."""

import cv2 as cv2

# Pairs are loaded in many threads side by side, and a worker shares its machine with others.
cv2.setNumThreads(1)
