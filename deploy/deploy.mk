# Images, clusters and secrets. Included by the Makefile, which makes the virtual environment.
K8S := deploy/k8s
OVERLAY ?= $(K8S)/overlays/$(if $(filter secrets rotate,$(MAKECMDGOALS)),production,development)
CLUSTER ?= mq-pair
# As named in the one place where they are.
image = $(shell sed -n 's/.*name: $(1), newName: \([^,]*\), newTag: \([^}]*\)}.*/\1:\2/p' $(K8S)/base/kustomization.yaml)
OURS = $(call image,producer) $(call image,consumer)

# Without it `--context` would take the next word.
NEEDS_CONTEXT = test -n "$(CONTEXT)" || { echo "make $@ CONTEXT=name: one of"; kubectl config get-contexts -o name; exit 2; }

.PHONY: images load k3d kind deploy undeploy secrets rotate test-cluster lock sbom

BUILD = docker build --file docker/Dockerfile --build-arg PYTHON=$(PYTHON_IMAGE) \
  $(if $(OTEL),--build-arg REQUIREMENTS=requirements-otel.lock)
images: ## build the producer and consumer images (OTEL=1: with OpenTelemetry; PYTHON_IMAGE=name: over that)
	$(BUILD) --target producer --tag $(call image,producer) .
	$(BUILD) --target consumer --tag $(call image,consumer) .

load: CONTEXT ?= $(shell kubectl config current-context)
load: ## IMAGE="shop-consumer:1 ..." (ours) into the cluster CONTEXT (the current one); or push to REGISTRY=host/team
	@$(NEEDS_CONTEXT)
	@$(PYTHON) -m deploy.load --context $(CONTEXT) $(if $(REGISTRY),--registry $(REGISTRY)) $(or $(IMAGE),$(OURS))

k3d: images ## a k3d cluster with the pair in it (CLUSTER=mq-pair)
	k3d cluster list $(CLUSTER) >/dev/null 2>&1 || k3d cluster create $(CLUSTER)
	$(MAKE) load deploy CONTEXT=k3d-$(CLUSTER)

kind: images ## a kind cluster with the pair in it (CLUSTER=mq-pair)
	kind get clusters | grep -qx $(CLUSTER) || kind create cluster --name $(CLUSTER)
	$(MAKE) load deploy CONTEXT=kind-$(CLUSTER)

# NAMESPACE=shop: a layer over OVERLAY, so that the pair can be in one cluster twice. Only as an argument: the environment
# of a CI job often has one.
ifeq ($(origin NAMESPACE),command line)
ifneq ($(shell printf %s '$(NAMESPACE)' | grep -cxE '[a-z0-9]([a-z0-9-]*[a-z0-9])?'),1)
$(error NAMESPACE=$(NAMESPACE) is no name of a namespace: lower-case letters, digits and "-")
endif
LAYER := build/$(NAMESPACE)/$(shell basename "$(OVERLAY)")
$(shell mkdir -p "$(LAYER)" && printf 'namespace: %s\nresources: ["%s"]\n' $(NAMESPACE) \
  "$$($(PYTHON) -c 'import os, sys; print(os.path.relpath(*sys.argv[1:]))' "$(OVERLAY)" "$(LAYER)")" >"$(LAYER)/kustomization.yaml")
override OVERLAY := $(LAYER)
else
NAMESPACE = $(shell kubectl kustomize "$(OVERLAY)" | sed -n '/^kind: Deployment$$/,/^---/s/^  namespace: //p' | head -n 1)
endif
DEPLOYMENTS = $(shell kubectl kustomize "$(OVERLAY)" | sed -n '/^kind: Deployment$$/,/^---/s/^  name: //p')
# Development's tag is the same after each build: pods whose manifest is the same would go on with the image from before.
UNCHANGED = sed -n 's/^\(deployment.*\) unchanged$$/\1/p'
RESTART = $(if $(filter %development,$(OVERLAY)),xargs -r kubectl --context $(CONTEXT) rollout restart -n $(NAMESPACE),cat)
deploy: CONTEXT ?= $(shell kubectl config current-context)
deploy: ## apply OVERLAY to CONTEXT (the current one; NAMESPACE=name: there, in place of the overlay's)
	@$(NEEDS_CONTEXT)
	@echo "to context $(CONTEXT), from $(OVERLAY)"
	set -o pipefail; kubectl --context $(CONTEXT) apply -k "$(OVERLAY)" | tee /dev/stderr | $(UNCHANGED) | $(RESTART)
	set -e; for each in $(DEPLOYMENTS); do \
	  kubectl --context $(CONTEXT) rollout status --namespace $(NAMESPACE) deployment/$$each --timeout 5m; done

# A cluster may lack one: kubectl would delete nothing at all.
KINDS = kubectl kustomize "$(OVERLAY)" | sed -n 's/^kind: //p' | sort -u | grep -vx -e Namespace -e Secret
KNOWN = kubectl --context $(CONTEXT) api-resources --no-headers | awk '{print $$NF}'
undeploy: CONTEXT ?= $(shell kubectl config current-context)
undeploy: ## remove all but the namespace, the Secrets, and the broker's claims with the messages in them
	@$(NEEDS_CONTEXT)
	@echo "from context $(CONTEXT)"
	kubectl --context $(CONTEXT) delete --namespace $(NAMESPACE) --selector app.kubernetes.io/part-of=mq-pair \
	  $$($(KINDS) | grep -xF "$$($(KNOWN))" | paste -sd,)

secrets: $(READY) ## random passwords and users for OVERLAY (production) on CONTEXT
	@$(NEEDS_CONTEXT)
	$(BIN)/python -m deploy.credentials --context $(CONTEXT) --overlay "$(OVERLAY)"

rotate: $(READY) ## new passwords, and apply OVERLAY (production) on CONTEXT, while messages flow
	@$(NEEDS_CONTEXT)
	$(BIN)/python -m deploy.credentials --rotate --context $(CONTEXT) --overlay "$(OVERLAY)"

test-cluster: $(READY) ## the end-to-end tests on the cluster CONTEXT, in a namespace of their own
	@$(NEEDS_CONTEXT)
	CLUSTER_CONTEXT=$(CONTEXT) $(BIN)/python -m pytest tests/deploy -m cluster --full $(ARGS)

# Universal: one file for every Python from 3.11 on. Never with the address of an index.
COMPILE = build/tools/bin/uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
  --custom-compile-command "make lock" --quiet $(if $(UPGRADE),--upgrade)
lock: build/tools/.ready ## bring the lock files up to pyproject.toml (UPGRADE=1: and to the newest)
	$(COMPILE) --group tools --output-file requirements-tools.lock
	$(COMPILE) pyproject.toml --extra http --output-file requirements.lock
	$(COMPILE) pyproject.toml --all-extras --constraints requirements.lock --output-file requirements-otel.lock
	$(COMPILE) pyproject.toml --all-extras --group dev --constraints requirements-otel.lock --output-file requirements-dev.lock

build/tools/.ready: requirements-tools.lock
	$(PYTHON) -m venv --clear build/tools
	build/tools/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-tools.lock
	touch $@

# Of Python's packages; those of Debian are in the SBOM of the base image.
sbom: build/tools/.ready ## build/sbom.json, what the images bring in packages (CycloneDX; OTEL=1: with OpenTelemetry)
	build/tools/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --of JSON \
	  --output-file build/sbom.json $(if $(OTEL),requirements-otel.lock,requirements.lock)
