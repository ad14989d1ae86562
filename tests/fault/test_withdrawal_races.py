"""
A withdrawal against sends that race with it: once its answer is given, nothing more is accepted on that ground.
"""

from __future__ import annotations
