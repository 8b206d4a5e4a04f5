-- Schema ml holds the product's code and internal state; nothing in it is an endpoint for applications.
-- Called by: everything. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE SCHEMA IF NOT EXISTS ml;
COMMENT ON SCHEMA ml IS
    'Schema ml holds the product''s code and internal state; nothing in it is an endpoint for applications.';
REVOKE ALL ON SCHEMA ml FROM PUBLIC;
