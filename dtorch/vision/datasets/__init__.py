"""Datasets of images."""

from dtorch.vision.datasets.cifar import CIFAR10, CIFAR100
from dtorch.vision.datasets.cityscapes import Cityscapes
from dtorch.vision.datasets.coco import CocoCaptions, CocoDetection
from dtorch.vision.datasets.digits import Digits
from dtorch.vision.datasets.fakedata import FakeData
from dtorch.vision.datasets.flickr import Flickr8k, Flickr30k
from dtorch.vision.datasets.folder import DatasetFolder, ImageFolder
from dtorch.vision.datasets.lsun import LSUN, LSUNClass
from dtorch.vision.datasets.mnist import EMNIST, KMNIST, MNIST, FashionMNIST
from dtorch.vision.datasets.omniglot import Omniglot
from dtorch.vision.datasets.phototour import PhotoTour
from dtorch.vision.datasets.sbu import SBU
from dtorch.vision.datasets.semeion import SEMEION
from dtorch.vision.datasets.stl10 import STL10
from dtorch.vision.datasets.svhn import SVHN
from dtorch.vision.datasets.vision import VisionDataset
from dtorch.vision.datasets.voc import VOCDetection, VOCSegmentation

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "LSUN",
    "MNIST",
    "SBU",
    "SEMEION",
    "STL10",
    "SVHN",
    "Cityscapes",
    "CocoCaptions",
    "CocoDetection",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "Flickr8k",
    "Flickr30k",
    "ImageFolder",
    "LSUNClass",
    "Omniglot",
    "PhotoTour",
    "VOCDetection",
    "VOCSegmentation",
    "VisionDataset",
]
