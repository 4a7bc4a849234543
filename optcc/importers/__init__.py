"""What was not written with optcc, brought into the IR: scalar jaxprs, init/update pairs of other libraries."""
