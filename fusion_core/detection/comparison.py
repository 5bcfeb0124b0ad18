"""Compares methods by what a detector finds in their images, over the same pairs for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fusion_core.detection.average_precision import (
    ClassPrecision,
    SeenImage,
    average_precision,
)
from fusion_core.detection.boxes import Boxes, matched
from fusion_core.detection.description import ALL
from fusion_core.detection.label_matching import MatchedLabels
from fusion_core.detection.labels import LabelBox

_MEETS = 0.5


@dataclass(frozen=True)
class DetectedPair:
    """What was found in the images of a pair.

    Attributes:
        pair_id: The pair.
        shape: Height and width of its images.
        boxes: Boxes by method.
        labels: Labelled boxes in pixels; None where the pair is unlabelled.
    """

    pair_id: str
    shape: tuple[int, int]
    boxes: Mapping[str, Boxes]
    labels: tuple[LabelBox, ...] | None = None

    def difference(self, score: float, classes: Sequence[str] = ()) -> int:
        """Return how much the methods differ on it.

        With labels it is the difference of the best and the worst one, by the number of labels met
        less that of boxes that meet none. Without, it is the number of boxes of two methods that
        have none like them with the other, for the two that agree least.

        Args:
            score: Only boxes that score so much are looked at,
            classes: and only those of these classes. Default: of all.
        """
        seen = {name: one.chosen(score, classes) for name, one in self.boxes.items()}
        if self.labels is not None:
            balances = [_balance(one, self.labels) for one in seen.values()]
            return max(balances, default=0) - min(balances, default=0)
        found = [
            len(one) + len(other) - 2 * matched(one, other.corners, other.classes, _MEETS)
            for one in seen.values()
            for other in seen.values()
        ]
        return max(found, default=0)


@dataclass(frozen=True)
class DetectionComparison:
    """How well a detector finds what is labelled in each method's images.

    Attributes:
        methods: Their names, in the order of the table.
        classes: The classes, likewise.
        images: By method, the number of its images with an ok row.
        labelled: Number of labelled pairs that all methods have an ok row of: what the table is
            over.
        labels: Number of labelled boxes in them by class, crowds left out.
        precisions: By method and class, and for ``all``; empty without labels.
    """

    methods: tuple[str, ...]
    classes: tuple[str, ...]
    images: Mapping[str, int]
    labelled: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    precisions: Mapping[str, Mapping[str, ClassPrecision]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes, and the mean over them at the end."""
        return (*self.classes, ALL)


def detected_pairs(
    boxes: Mapping[str, Mapping[str, Boxes]],
    shapes: Mapping[str, tuple[int, int]],
    labels: MatchedLabels | None = None,
) -> list[DetectedPair]:
    """Return the pairs of which every method has an image with boxes, or with none found.

    A method without any image is left out, since it would leave no pair to the others.

    Args:
        boxes: By method and pair id, what was found.
        shapes: By pair id, height and width.
        labels: By pair id, what is really there. Default: nothing is labelled.

    Raises:
        SettingsError: Labels are of images of another size.
    """
    compared = {method: own for method, own in boxes.items() if own}
    common = set.intersection(*map(set, compared.values())) if compared else set()
    found = []
    for pair_id in sorted(common):
        image = labels.of_pair.get(pair_id) if labels else None
        shape = shapes[pair_id]
        found.append(
            DetectedPair(
                pair_id,
                shape,
                {method: own[pair_id] for method, own in compared.items()},
                None if image is None else image.in_pixels(shape),
            )
        )
    return found


def compare_detections(
    pairs: Sequence[DetectedPair],
    images: Mapping[str, int],
    classes: Sequence[str] = (),
) -> DetectionComparison:
    """Compute each method's average precision over the labelled ones of some pairs.

    Args:
        pairs: The pairs that all methods have.
        images: By method, the number of its images with an ok row; in the order of the table.
        classes: The classes that count. Default: those that the pairs' labels have.

    Raises:
        SettingsError: There are labels, and pycocotools isn't installed.
    """
    labelled = [pair for pair in pairs if pair.labels is not None]
    counts = Counter(
        label.class_name for pair in labelled for label in pair.labels or () if not label.crowd
    )
    wanted = tuple(classes) or tuple(name for name, _ in counts.most_common())
    precisions = {}
    if labelled:
        for method in labelled[0].boxes:
            seen = [SeenImage(pair.labels or (), pair.boxes[method]) for pair in labelled]
            precisions[method] = average_precision(seen, wanted)
    return DetectionComparison(
        methods=tuple(images),
        classes=wanted,
        images=dict(images),
        labelled=len(labelled),
        labels={name: counts[name] for name in wanted},
        precisions=precisions,
    )


def most_different(
    pairs: Sequence[DetectedPair], count: int, score: float, classes: Sequence[str] = ()
) -> list[tuple[DetectedPair, int]]:
    """Return the pairs on which methods differ most, each with how much, the most first.

    Labelled pairs alone are looked at where there are some. Where all methods find the same on a
    pair, it isn't among them.

    Args:
        pairs: The pairs.
        count: At most so many.
        score: Only boxes that score so much are looked at,
        classes: and only those of these classes. Default: of all.
    """
    labelled = [pair for pair in pairs if pair.labels is not None]
    measured = [(pair, pair.difference(score, classes)) for pair in labelled or pairs]
    ordered = sorted(measured, key=lambda one: (-one[1], one[0].pair_id))
    return [one for one in ordered[:count] if one[1]]


def _balance(boxes: Boxes, labels: Sequence[LabelBox]) -> int:
    """Return the number of labels that are met, less that of boxes that meet none.

    What meets a crowd isn't wrong, and a crowd isn't missed.
    """
    crowds = [label for label in labels if label.crowd]
    others = [label for label in labels if not label.crowd]

    def met(some: Sequence[LabelBox]) -> int:
        return matched(boxes, [a.corners for a in some], [a.class_name for a in some], _MEETS)

    right = met(others)
    return right - (len(boxes) - right - met(crowds))
