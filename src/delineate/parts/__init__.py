"""Learnable pieces that two families or more use."""

from delineate.parts.backbones import Backbone, Features, TimmBackbone, VGGBackbone, timm_backbone

__all__ = ["Backbone", "Features", "TimmBackbone", "VGGBackbone", "timm_backbone"]
