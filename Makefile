# Facet. `make` alone lists the targets; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help run data train test check lint template built audit sbom format bench samples notebook env training tensorflow build image deploy choice names pins openapi proto clean
VENV := .venv/bin
ENV ?= default
# The endpoint's container: ours, or AWS's TensorFlow image. What ours can run: tensorflow and litert, or litert.
SERVING ?= facet
RUNTIME ?= tensorflow
# The stack of deployment/images.yaml, for all Facet stacks of an account and region.
IMAGES ?= facet-images
BILLS ?= build/sbom
BENCH ?= training few serving scale heads predict infer onboarding
export SAM_CLI_TELEMETRY := 0
# Keep compiled modules: TensorFlow and botocore start many times slower without them.
export PYTHONDONTWRITEBYTECODE :=
run train test check template bench samples build: export AWS_DEFAULT_REGION ?= us-east-1
# WHEELS=no packs training code without the packages that a job installs; it then needs a package index.
PACK = $(VENV)/python -m training.package $(if $(filter no,$(WHEELS)),,--wheels)
# AWS_REGION counts as in AWS's command line; boto3 and SAM read AWS_DEFAULT_REGION only.
ifdef AWS_REGION
image deploy: export AWS_DEFAULT_REGION = $(AWS_REGION)
endif
PYTHON312 = $(shell .ci/python 3.12)
SETTING = $(shell $(VENV)/python -c "import tomllib; print(tomllib.load(open('samconfig.toml', 'rb'))['$(ENV)']['deploy']['parameters'].get('$(1)', ''))")
DEPLOYED = $(or $(STACK),$(call SETTING,stack_name))
# A tool in its own environment, with the versions in .ci/tools.
TOOL = $(VENV)/uvx --quiet --python $(VENV)/python --constraints .ci/tools/$(1).txt --from $(1)
BILL = PYTHONWARNINGS=ignore $(call TOOL,cyclonedx-bom) cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible
# One argument, whatever characters the folder's name has.
SOURCE = $(if $(DATA),'$(subst ','\'',$(DATA))')
SAM = PATH="$(CURDIR)/.venv/bin:$(dir $(PYTHON312)):$$PATH" sam

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run:  ## start Facet on this machine (ARGS="--once" stops after the predictions; ARGS=--help)
	@.ci/setup local
	@exec $(VENV)/facet up $(ARGS)

# A folder that does not exist is an error before anything is installed.
define CHECK_DATA
@source=$(SOURCE); case "$$source" in ''|cifar10|sign-language) ;; *) \
	[ -e "$$source" ] || { echo "facet: there is no folder or file $$source (DATA=DIR)" >&2; exit 2; };; esac
endef

data:  ## upload a data set (DATA=cifar10|sign-language|DIR ARGS="--name pets"; ARGS=--help shows the options)
	$(CHECK_DATA)
	@.ci/setup training
	@$(VENV)/facet data $(SOURCE) $(ARGS)

train:  ## data → training job → live model (RECIPE=cifar10 DATA=DIR ARGS="--set epochs=3")
	$(CHECK_DATA)
	@.ci/setup local
	@.ci/setup training
	@$(VENV)/facet train $(RECIPE) $(SOURCE) --upload --ask --up $(ARGS)

# Tests run make themselves, which must not inherit this run's variables.
test:  ## run all tests (ARGS="-k name" runs some)
	@.ci/setup dev
	@env -u MAKEFLAGS -u MAKELEVEL -u ARGS $(VENV)/python -m pytest -n auto --dist loadfile $(ARGS)

check: lint template audit  ## all static checks: the next three targets

lint:  ## check style, format and types
	@.ci/setup dev
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy

template:  ## lint and scan the template and the state machine; build them if Python 3.12 is installed
	@.ci/setup dev
	$(VENV)/sam validate --lint
	$(VENV)/cfn-lint --template deployment/images.yaml
	$(VENV)/statelint --ignore FLOAT statemachine/train.asl.json
	$(call TOOL,checkov) checkov --config-file .checkov.yaml
	@if .ci/python 3.12 > /dev/null; then $(MAKE) --no-print-directory built; \
	else echo "facet: skipping sam build, which needs it"; fi

built: build
	$(VENV)/cfn-lint --template .aws-sam/build/template.yaml

audit:  ## look up known vulnerabilities of deployed packages (skipped if no database can be reached)
	@.ci/setup dev
	$(VENV)/python .ci/audit layers/facet/requirements.txt layers/litert/requirements.txt serving/requirements-tensorflow.txt \
		training/wheels.txt -- $(call TOOL,pip-audit) pip-audit

format:  ## format the code
	@.ci/setup dev
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

bench:  ## measure, and write docs/benchmarks.md; two hours (BENCH="serving" runs a part; training and few need FACET_DATA)
	@.ci/setup dev
	@set -e; for part in $(BENCH); do $(VENV)/python -m benchmarks.$$part $(ARGS); done

samples:  ## train the sample models again from the data sets in FACET_DATA
	@.ci/setup dev
	$(VENV)/python -m samples.build

notebook:  ## run notebooks/walkthrough.ipynb into build/ (needs `make run` in another shell, or STACK=NAME)
	@.ci/setup notebook
	@mkdir -p build
	@PATH="$(CURDIR)/.venv-notebook/bin:$$PATH" python notebooks/run.py notebooks/walkthrough.ipynb build/walkthrough.ipynb

tensorflow:  ## install TensorFlow for the local endpoint; artifacts without a LiteRT model need it
	@.ci/setup tensorflow

training:  ## install what training jobs need on this machine (`make train` does this itself)
	@.ci/setup training

# SAM's progress and errors are on standard error; its output advises `sam deploy --guided`.
build:  ## run sam build (needs Python 3.12, the functions' runtime)
	@.ci/setup dev
	@.ci/python 3.12 > /dev/null
	$(SAM) build > /dev/null

env: build  ## template and environment file for `sam local`, whose containers then reach the running stack
	@$(VENV)/python -m local.sam_local $(ARGS)

IMAGE = $(VENV)/python -m deployment.image --runtime $(RUNTIME) --stack $(IMAGES) $(if $(filter-out 0,$(DOCKER)),--docker)

image: names  ## build the container's image in the account, unless it is there (RUNTIME=litert; DOCKER=1 builds here)
	@.ci/setup dev
	@$(IMAGE)

# AWS's container is an empty ServingImageUri, because SAM keeps parameters that a deploy does not name. One
# among the parameters wins: they come later.
CHOSEN = $(findstring ServingImageUri,$(call SETTING,parameter_overrides) $(PARAMETERS))
SERVED = $(if $(CHOSEN)$(UNSERVED)$(filter aws,$(SERVING)),'""',$$($(IMAGE)))

# Without an endpoint nothing runs the container: no build, and the stack keeps the image that it names.
SWITCHED = $(call SETTING,parameter_overrides) $(PARAMETERS)
UNSERVED = $(and $(findstring EndpointOn=false,$(SWITCHED)),$(filter facet,$(SERVING)),$(if \
	$(findstring EndpointOn=true,$(PARAMETERS))$(findstring RestoreAt,$(PARAMETERS))$(CHOSEN),,unserved))

# The first deploy creates the bucket, so the training code is uploaded after it; later deploys upload it before.
deploy: choice names build  ## run sam deploy in the account of your AWS credentials (ENV=dev|prod STACK=facet SERVING=aws PARAMETERS="LogLevel=DEBUG" ARGS=...)
	$(if $(shell echo '$(DEPLOYED)' | grep -Ex '[a-z]([a-z0-9-]{0,28}[a-z0-9])?'),,$(error STACK=$(DEPLOYED): bucket and \
		endpoint have its name, so use at most 30 lower-case letters, digits and hyphens))
	@image=$(SERVED) && code=$$($(PACK) --stack $(DEPLOYED)) && \
	$(SAM) deploy --config-env $(ENV) --stack-name $(DEPLOYED) \
		--parameter-overrides "TrainingCode=$$code" $(if $(UNSERVED),,"ServingImageUri=$$image") \
		$(call SETTING,parameter_overrides) $(PARAMETERS) $(ARGS) && \
	$(PACK) --stack $(DEPLOYED) --required

# A typo is an error before the build, not after it.
choice:
	@$(if $(filter default dev prod,$(ENV)),,$(error ENV=$(ENV): samconfig.toml has default, dev and prod))
	@$(if $(filter facet aws,$(SERVING)),,$(error SERVING=$(SERVING): facet is our container, aws AWS's TensorFlow image))

# The repository has the stack's name: ECR allows no capitals, and hyphens only between others.
names:
	@$(if $(shell echo '$(IMAGES)' | grep -Ex '[a-z][a-z0-9]*(-[a-z0-9]+)*' | grep -Ex '.{2,128}'),,$(error \
		IMAGES=$(IMAGES): a stack and an image repository have its name, so use 2 to 128 lower-case letters, digits \
		and single hyphens between them))

pins:  ## pin the packages in pyproject.toml and requirements.in (ARGS=--upgrade: the newest, see CONTRIBUTING.md)
	@.ci/setup dev
	.ci/pins $(ARGS)

sbom:  ## write bills of materials of deployed packages (CycloneDX) to build/sbom
	@.ci/setup dev
	@mkdir -p $(BILLS)
	@$(BILL) layers/facet/requirements.txt --output-file $(BILLS)/layer.json
	@$(BILL) layers/litert/requirements.txt --output-file $(BILLS)/layer-litert.json
	@$(BILL) serving/requirements.txt --output-file $(BILLS)/container.json
	@$(BILL) serving/requirements-tensorflow.txt --output-file $(BILLS)/container-tensorflow.json
	@$(BILL) training/wheels.txt --output-file $(BILLS)/training.json
	@echo "$(BILLS) has one document for each"

openapi:  ## write the OpenAPI document that the API serves (after a change of a route or its models)
	@.ci/setup dev
	$(VENV)/python -m openapi.document functions/page/static/openapi.json

proto:  ## compile the protocol buffers (after a change of a .proto file)
	@.ci/setup dev
	cd layers/facet && ../../$(VENV)/uvx --from grpcio-tools==1.76.0 python -m grpc_tools.protoc -I. \
		--python_out=. --pyi_out=. facet/artifact/graphs/saved_model.proto

clean:  ## remove build outputs, environments and the local stack's state
	rm -rf .venv .venv-notebook .facet .aws-sam build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
