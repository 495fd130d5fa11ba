#!/bin/sh
# Builds the container's image and pushes it as $IMAGE: in CodeBuild (images.yaml), or here (docker.py).
#
# SageMaker takes Docker's image manifest v2 and nothing newer: "Unsupported manifest media type
# application/vnd.oci.image.manifest.v1+json" (aws/amazon-sagemaker-feedback issue 180, moby/buildkit
# issue 5480). BuildKit writes OCI's types since 0.31, and whenever there are attestations (provenance,
# SBOM), which also turn the image into an index.
set -eu
docker buildx build --platform linux/amd64 --provenance=false --sbom=false \
    --output "type=image,name=$IMAGE,oci-mediatypes=false,push=true" \
    --file serving/Dockerfile --build-arg "REQUIREMENTS=$REQUIREMENTS" .
