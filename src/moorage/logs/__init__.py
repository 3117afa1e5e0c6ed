"""Reading what the monitors logged, one module for each driver."""
