"""What detectors of objects need: boxes, what they overlap, losses of boxes, features within them."""

from dtorch.vision.ops.boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    nms,
    remove_small_boxes,
)
from dtorch.vision.ops.losses import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)
from dtorch.vision.ops.misc import FrozenBatchNorm2d
from dtorch.vision.ops.regions import RoIAlign, roi_align

__all__ = [
    "FrozenBatchNorm2d", "RoIAlign", "batched_nms", "box_area", "box_convert", "box_iou",
    "clip_boxes_to_image", "complete_box_iou", "complete_box_iou_loss", "distance_box_iou",
    "distance_box_iou_loss", "generalized_box_iou", "generalized_box_iou_loss", "masks_to_boxes",
    "nms", "remove_small_boxes", "roi_align", "sigmoid_focal_loss",
]  # fmt: skip
