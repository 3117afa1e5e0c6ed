"""Values of the OCI image, distribution and runtime specifications."""
