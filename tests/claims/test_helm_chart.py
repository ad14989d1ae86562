"""The Helm chart renders, with the real Helm, to what Kubernetes accepts, keeps every secret out and refuses wrong values."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from gateway.composition import Role
from gateway.settings import Settings

CHART = Path(__file__).parents[2] / "helm" / "trait-dunion"
EXAMPLES = ("minimal", "complete")
# The oldest version that Chart.yaml promises, and the newest that the validator knows.
KUBERNETES = ("1.30", "1.37")
# Kinds that come with an operator: Kubernetes' own schemas do not know them.
OPERATOR_KINDS = {"PrometheusRule", "ScaledObject", "ServiceMonitor", "TriggerAuthentication"}
ROLES = ["api", "relay", "courier", "sequencer", "keeper"]


def example(name: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def rendered(name: str) -> dict[str, str]:
    with helm_python.Chart.load(CHART) as chart:
        return chart.render(example(name), name="tdu", namespace="social")


def documents(name: str, kind: str | None = None) -> list[dict[str, Any]]:
    found = []
    for path, text in sorted(rendered(name).items()):
        if not path.endswith("NOTES.txt"):
            found += [document for document in yaml.safe_load_all(text) if document]
    return [document for document in found if kind in (None, document["kind"])]


def named(name: str, kind: str, suffix: str) -> dict[str, Any]:
    (document,) = [found for found in documents(name, kind) if found["metadata"]["name"].endswith(suffix)]
    return document


def pods(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents(name):
        if document["kind"] in ("Deployment", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]
        elif document["kind"] == "Pod":
            yield document["metadata"]["name"], document["spec"]


def refusal(values: dict[str, Any]) -> str:
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmValuesError) as refused:
        chart.render(values, name="tdu")
    return str(refused.value)


def changed(**values: Any) -> dict[str, Any]:
    return {**example("minimal"), **values}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_document_is_valid_for_kubernetes(name: str, version: str) -> None:
    """Kubernetes' own schemas accept each document, unknown fields refused; only operators' kinds have no schema."""
    unknown = set()
    for document in documents(name):
        try:
            assert version == kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(document["kind"])
    assert (OPERATOR_KINDS if name == "complete" else set()) == unknown


@pytest.mark.parametrize("name", EXAMPLES)
def test_helm_lint_finds_nothing(name: str) -> None:
    """`helm lint --strict` has no warning and no error."""
    report = helm_python.lint(CHART, example(name), strict=True)
    assert ([], []) == (report["errors"], [message for message in report["messages"] if message["severity"] > 1])


def test_the_smallest_values_give_the_whole_gateway_and_nothing_optional() -> None:
    """With issuer and SIRET alone there is one deployment per role, the migration, and no kind that needs an operator."""
    kinds = [document["kind"] for document in documents("minimal")]
    assert sorted(f"tdu-trait-dunion-{role}" for role in ROLES) == sorted(
        document["metadata"]["name"] for document in documents("minimal", "Deployment")
    )
    assert {
        "ConfigMap",
        "Deployment",
        "Job",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    } == set(kinds)


def test_every_option_can_be_on_at_once() -> None:
    """The complete example adds the Ingress, both autoscalers and the monitoring objects."""
    added = {document["kind"] for document in documents("complete")} - {
        document["kind"] for document in documents("minimal")
    }
    assert OPERATOR_KINDS | {"HorizontalPodAutoscaler", "Ingress"} == added


def test_the_roles_are_those_of_the_program() -> None:
    """Each role that `tdu serve --role` knows, but the embedded `all`, has its deployment, and no other."""
    served = [
        pod["containers"][0]["args"] for _, pod in pods("minimal") if "serve" in pod["containers"][0].get("args", [])
    ]
    assert sorted(role.value for role in Role if role is not Role.ALL) == sorted(args[2] for args in served)
    assert {("serve", "--role")} == {tuple(args[:2]) for args in served}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_variable_is_a_setting_of_the_gateway(name: str) -> None:
    """A misspelt TDU_ variable would be ignored in silence: each one is a field of the settings."""
    given = set(documents(name, "ConfigMap")[0]["data"])
    for _, pod in pods(name):
        given |= {variable["name"] for variable in pod["containers"][0].get("env", [])}
    known = {f"TDU_{field.upper()}" for field in Settings.model_fields}
    assert set() == {variable for variable in given if variable.startswith("TDU_")} - known


def test_the_gateway_reads_the_rendered_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings class accepts every rendered value, large numbers included."""
    data = documents("complete", "ConfigMap")[0]["data"]
    for variable, value in data.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert ("https://passerelle.valombre.example", "99900009400014", 80_000_000, "otlp") == (
        settings.public_address,
        settings.operator_siret,
        settings.max_file_bytes,
        settings.otel_exporter,
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_secret_is_rendered(name: str) -> None:
    """No Secret object, and the four secrets only by the name of an object that exists already."""
    assert [] == documents(name, "Secret")
    values = {"database": {"existingSecret": "trait-dunion-database", "key": "url"}} | example(name)
    for _, pod in pods(name):
        for variable in pod["containers"][0].get("env", []):
            if variable["name"] == "TDU_DATABASE_URL":
                expected = {"name": values["database"]["existingSecret"], "key": values["database"]["key"]}
                assert expected == variable["valueFrom"]["secretKeyRef"]
            assert ("value" in variable) == (variable["name"] == "TDU_LOG_LEVEL")
    text = "\n".join(rendered(name).values())
    assert [] == [word for word in ("postgresql+asyncpg", "amqp://", "amqps://", "PRIVATE KEY") if word in text]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_confined(name: str) -> None:
    """No root, no writable root file system, no privilege, no service account token, a memory limit, in every pod."""
    for title, pod in pods(name):
        (container,) = pod["containers"]
        assert (title, False, False) == (title, pod["automountServiceAccountToken"], pod["enableServiceLinks"])
        assert (True, "RuntimeDefault") == (
            pod["securityContext"]["runAsNonRoot"],
            pod["securityContext"]["seccompProfile"]["type"],
        )
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert {"limits", "requests"} == set(container["resources"])


def test_the_migration_needs_nothing_that_the_chart_makes() -> None:
    """A pre-install hook runs before the chart's own objects exist: it may use none of them."""
    job = documents("minimal", "Job")[0]
    pod = job["spec"]["template"]["spec"]
    assert "pre-install,pre-upgrade" == job["metadata"]["annotations"]["helm.sh/hook"]
    assert ("default", None, ["scratch"]) == (
        pod["serviceAccountName"],
        pod["containers"][0].get("envFrom"),
        [volume["name"] for volume in pod["volumes"]],
    )


def test_a_change_of_settings_restarts_the_pods() -> None:
    """The checksum on the pods follows the settings."""
    checksums = {
        document["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for name in EXAMPLES
        for document in documents(name, "Deployment")
    }
    assert 2 == len(checksums)


def test_the_digest_wins_over_the_tag() -> None:
    """With a digest the image is named by it; without, by the chart's version."""
    complete = named("complete", "Deployment", "-api")["spec"]["template"]["spec"]["containers"][0]["image"]
    minimal = named("minimal", "Deployment", "-api")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert f"registry.valombre.example/trait-dunion@{example('complete')['image']['digest']}" == complete
    assert "trait-dunion:0.1.0" == minimal


@pytest.mark.parametrize("name", EXAMPLES)
def test_selectors_find_their_pods(name: str) -> None:
    """Services, budgets and deployments select labels that exactly one deployment's pods carry."""
    labels = [document["spec"]["template"]["metadata"]["labels"] for document in documents(name, "Deployment")]
    selectors = [document["spec"]["selector"] for document in documents(name, "Service")]
    selectors += [document["spec"]["selector"]["matchLabels"] for document in documents(name, "PodDisruptionBudget")]
    selectors += [document["spec"]["selector"]["matchLabels"] for document in documents(name, "Deployment")]
    for selector in selectors:
        assert 1 == len([carried for carried in labels if selector.items() <= carried.items()])


def test_an_autoscaled_role_leaves_its_replicas_to_the_autoscaler() -> None:
    """A fixed number of replicas would fight the autoscaler at each upgrade."""
    fixed = {role: "replicas" in named("complete", "Deployment", f"-{role}")["spec"] for role in ROLES}
    assert {"api": False, "relay": True, "courier": False, "sequencer": True, "keeper": True} == fixed


def test_the_courier_scales_on_the_queue_it_takes_from() -> None:
    """The autoscaler watches the delivery queue under the configured prefix, with the bus secret by name."""
    trigger = documents("complete", "ScaledObject")[0]["spec"]["triggers"][0]["metadata"]
    secret = documents("complete", "TriggerAuthentication")[0]["spec"]["secretTargetRef"]
    assert ("valombre.deliveries", "100") == (trigger["queueName"], trigger["value"])
    assert [{"parameter": "host", "name": "valombre-mq", "key": "connection"}] == secret


def test_only_the_api_is_called_from_outside() -> None:
    """The policy of all pods lets nobody in; the API's policy opens its port."""
    everyone = named("minimal", "NetworkPolicy", "trait-dunion")["spec"]
    api = named("minimal", "NetworkPolicy", "-api")["spec"]
    assert ([], ["Ingress", "Egress"]) == (everyone["ingress"], everyone["policyTypes"])
    assert [{"ports": [{"port": "http", "protocol": "TCP"}]}] == api["ingress"]
    assert "api" == api["podSelector"]["matchLabels"]["app.kubernetes.io/component"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_nobody_may_call_the_clouds_metadata_address(name: str) -> None:
    """Where pods may call any address, the address that gives a machine's credentials is left out."""
    blocks = [
        peer["ipBlock"]
        for rule in named(name, "NetworkPolicy", "trait-dunion")["spec"]["egress"]
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]
    assert {"0.0.0.0/0": ["169.254.0.0/16"], "::/0": ["fe80::/10", "fd00:ec2::254/128"]} == {
        block["cidr"]: block["except"] for block in blocks
    }


def test_the_notes_speak_french_then_english() -> None:
    """What Helm prints after the installation is in both languages, French first."""
    notes = rendered("minimal")["trait-dunion/templates/NOTES.txt"]
    assert 0 == notes.index("Trait d'union 0.1.0 est installé")
    assert notes.index("est installé") < notes.index("is installed")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, "/config/issuer"),
        (changed(config={"issuer": "http://passerelle.example", "operatorSiret": "99900009400014"}), "/config/issuer"),
        (
            changed(config={"issuer": "https://passerelle.example/", "operatorSiret": "99900009400014"}),
            "/config/issuer",
        ),
        (
            changed(config={"issuer": "https://passerelle.example", "operatorSiret": 99900009400014}),
            "/config/operatorSiret",
        ),
        (changed(database={"url": "postgresql+asyncpg://u:p@h/d"}), "/database"),
        (changed(database={"existingSecret": "", "key": "url"}), "/database/existingSecret"),
        (changed(kek={"existingSecret": "kek", "value": "c2VjcmV0"}), "/kek"),
        (changed(image={"digest": "latest"}), "/image/digest"),
        (changed(api={"replicas": "2"}), "/api/replicas"),
        (changed(apii={"replicas": 2}), "apii"),
        (changed(ingress={"enabled": True}), "/ingress/hosts"),
        (changed(networkPolicy={"databasePorts": [0]}), "/networkPolicy/databasePorts/0"),
        (changed(podDisruptionBudget={"maxUnavailable": 0}), "/podDisruptionBudget/maxUnavailable"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values: dict[str, Any], place: str) -> None:
    """A wrong, missing or unknown value stops the installation, and the message says where it stands."""
    assert place in refusal(values)


@pytest.mark.parametrize(
    "variable",
    ["TDU_DATABASE_URL", "TDU_KEK_FILE", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "PATH"],
)
def test_extra_settings_cannot_carry_a_secret(variable: str) -> None:
    """Variables that hold a secret, or that the chart sets itself, are refused among the free settings."""
    config = example("minimal")["config"] | {"extraEnv": {variable: "x"}}
    assert "/config/extraEnv" in refusal(changed(config=config))


def test_an_otlp_exporter_needs_an_address() -> None:
    """Asking for OTLP without saying where is refused."""
    config = example("minimal")["config"] | {"otel": {"exporter": "otlp"}}
    assert "/config/otel/endpoint" in refusal(changed(config=config))


def test_the_defaults_carry_nothing_that_the_schema_does_not_know() -> None:
    """Every object of the schema refuses unknown names, and every default value has its place in it."""
    with helm_python.Chart.load(CHART) as chart:
        schema, defaults = chart.schema, chart.values
    assert schema is not None
    assert set(defaults) <= set(schema["properties"])
    closed = [value for value in _objects(schema) if "properties" in value and value.get("type") == "object"]
    assert [True] * len(closed) == [value["additionalProperties"] is False for value in closed]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _objects(child)


def test_the_sequencer_keeps_its_mark_apart_from_the_database() -> None:
    """The mark of what was signed has a volume that can be written, of the operator's choice, which one pod holds at a time."""
    for name, volume in (
        ("minimal", {"name": "marks", "emptyDir": {"sizeLimit": "16Mi"}}),
        ("complete", {"name": "marks", "persistentVolumeClaim": {"claimName": "valombre-marques"}}),
    ):
        deployment = named(name, "Deployment", "-sequencer")["spec"]
        pod = deployment["template"]["spec"]
        mounted = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        settings = named(name, "ConfigMap", "tdu-trait-dunion")["data"]
        assert volume in pod["volumes"]
        assert settings["TDU_LEDGER_MARKS"] == mounted["marks"]["mountPath"]
        assert "readOnly" not in mounted["marks"]
        assert (name == "complete") == (deployment["strategy"]["type"] == "Recreate")
