"""What tests are made of. Nothing here runs in production."""
