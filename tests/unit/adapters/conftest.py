"""
Failures of the shipped exam show both sides, as those of any test.
"""

import pytest

pytest.register_assert_rewrite("adapters.testing")
