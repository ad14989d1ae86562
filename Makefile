# `make` alone lists what can be done. Each target that needs the environment installs it first, once.

.DEFAULT_GOAL := help
.PHONY: help install demo serve test check bench faults screenshots
.DELETE_ON_ERROR:

BIN := .venv/bin
# One stamp per finished step. Their folder carries a mark of where the tree is: a moved copy installs again.
STAMPS := .venv/stamps-$(firstword $(shell pwd -P | cksum))

PYTEST := $(BIN)/python -m pytest
# A process a core, four at most; what stays together is said in tests/conftest.py.
PARALLEL := -n auto --maxprocesses 4 --dist loadscope
WITH_SERVICES := $(BIN)/python -m ops.services --

help: ## Affiche cette aide | Show this help
	@printf 'Trait d’union : make CIBLE (make TARGET)\n\n'
	@awk -F ':.*## | \\| ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n                    %s\n", $$1, $$2, $$3 }' $(MAKEFILE_LIST)

install: $(STAMPS)/runtime ## Installe l'environnement dans .venv (Python 3.11 ou plus) | Install the environment in .venv (Python 3.11 or newer)
	@printf '%s\n' "L'environnement est prêt : $(BIN)/tdu" "The environment is ready: $(BIN)/tdu"

demo: $(STAMPS)/runtime ## Raconte le métier de bout en bout ; KEEP=1 laisse la passerelle en marche, JSON=1 donne les chiffres | Tell the whole story; KEEP=1 leaves the gateway running, JSON=1 prints the figures
	@$(BIN)/tdu demo $(if $(filter-out 0,$(KEEP)),--keep) $(if $(filter-out 0,$(JSON)),--json)

serve: $(STAMPS)/runtime ## Démarre une passerelle sur cette machine, sans serveur à installer | Start a gateway on this machine, no server needed
	@$(BIN)/tdu serve

test: $(STAMPS)/dev ## Lance tous les tests, avec de vrais PostgreSQL et RabbitMQ ; PYTEST_ARGS="-k gate" choisit | Run all tests, with real PostgreSQL and RabbitMQ; PYTEST_ARGS="-k gate" chooses
	@$(WITH_SERVICES) $(PYTEST) $(PARALLEL) -m "not bench" $(PYTEST_ARGS)

check: $(STAMPS)/dev ## Vérifie le code sans le lancer : style, types, couches, schémas, documents | Check the code without running it: style, types, layers, schemas, documents
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/tdu schema check --all && $(BIN)/tdu schema history
	@$(PYTEST) -q tests/claims

bench: $(STAMPS)/runtime ## Mesure les débits et les délais sur cette machine | Measure throughput and latency on this machine
	@$(WITH_SERVICES) $(BIN)/tdu bench all

faults: $(STAMPS)/dev ## Coupe tout à chaque étape et vérifie que rien ne se perd | Break everything at every step and check that nothing is lost
	@TDU_FAULTS=all $(WITH_SERVICES) $(PYTEST) tests/fault tests/acceptance/test_nothing_outside_leaves.py $(PYTEST_ARGS)

screenshots: $(STAMPS)/runtime ## Photographie les pages de la passerelle avec Chromium | Take pictures of the gateway's pages with Chromium
	@$(BIN)/python -m ops.screenshots

$(STAMPS)/python: ops/environment.sh
	@sh ops/environment.sh python
	@mkdir -p $(@D) && touch $@

$(STAMPS)/runtime: $(STAMPS)/python pyproject.toml requirements/build.txt requirements/runtime.txt
	@sh ops/environment.sh runtime
	@touch $@

$(STAMPS)/dev: $(STAMPS)/runtime requirements/dev.txt
	@sh ops/environment.sh dev
	@touch $@
