"""What Deedbook's programs say to each other: the schemas in `schemas/` and the Python types generated from them."""
