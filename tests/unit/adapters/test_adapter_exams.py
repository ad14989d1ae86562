"""
Every adapter of the project sits the common exam.
"""

from adapters._template.adapter import Template
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.shared_json.adapter import SharedJson
from adapters.testing import AdapterContract
from adapters.webrsa_orientation.adapter import WebrsaOrientation


class TestCnafRsa(AdapterContract):
    """The RSA flow of the CAF and the MSA passes the exam."""

    adapter = CnafRsa()


class TestSharedJson(AdapterContract):
    """The shared format passes the exam."""

    adapter = SharedJson()


class TestWebrsaOrientation(AdapterContract):
    """WebRSA's orientation CSV passes the exam."""

    adapter = WebrsaOrientation()


class TestTemplate(AdapterContract):
    """The adapter to copy passes the exam itself."""

    adapter = Template()
