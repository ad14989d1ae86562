"""
Every adapter of the project sits the common exam: those of today and any folder added tomorrow.
"""

from adapters._template.python.adapter import Template
from adapters.registry import ADAPTERS
from adapters.testing import AdapterContract

for _name, _adapter in ADAPTERS.items():
    _class = "Test" + "".join(part.capitalize() for part in _name.split("-"))
    globals()[_class] = type(
        _class, (AdapterContract,), {"adapter": _adapter, "__doc__": f"{_adapter.title}: the exam."}
    )


class TestTemplate(AdapterContract):
    """The adapter to copy passes the exam itself."""

    adapter = Template()
