# Facet. `make` alone lists the targets; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help run test check format samples tensorflow build deploy proto clean
VENV := .venv/bin
export SAM_CLI_TELEMETRY := 0
# Compiled modules are kept: TensorFlow and botocore start many times slower without.
export PYTHONDONTWRITEBYTECODE :=
export AWS_DEFAULT_REGION ?= us-east-1
PYTHON312 = $(shell .ci/python 3.12)
SAM = PATH="$(CURDIR)/.venv/bin:$(dir $(PYTHON312)):$$PATH" sam

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run:  ## start Facet on this machine (ARGS="--once" stops after the predictions)
	@.ci/setup local
	@exec $(VENV)/python -m local $(ARGS)

test:  ## run all tests (ARGS="-k name" runs some)
	@.ci/setup dev
	@$(VENV)/python -m pytest -n auto --dist loadfile $(ARGS)

check:  ## lint, types, template
	@.ci/setup dev
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/sam validate --lint

format:  ## put the code into its format
	@.ci/setup dev
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

samples:  ## train the sample models again, from the data sets in FACET_DATA
	@.ci/setup dev
	$(VENV)/python -m samples.build

tensorflow:  ## install TensorFlow for the local endpoint: artifacts without a LiteRT model need it
	@.ci/setup tensorflow

build:  ## sam build (needs Python 3.12, the functions' runtime)
	@.ci/setup dev
	@.ci/python 3.12 > /dev/null
	$(SAM) build

deploy: build  ## sam deploy to the account of your AWS credentials (ARGS="--config-env prod")
	$(SAM) deploy $(ARGS)

proto:  ## compile the protocol buffers (after a change of a .proto file)
	@.ci/setup dev
	cd functions && ../$(VENV)/uvx --from grpcio-tools==1.76.0 python -m grpc_tools.protoc -I. \
		--python_out=. --pyi_out=. onboard/saved_model.proto

clean:  ## remove what was built, and the local stack's state
	rm -rf .venv .facet .aws-sam build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
