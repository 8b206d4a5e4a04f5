-- Transactions whose updates of pattern_events bring scores of their own; a row lives only inside its transaction.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- A setting would do as well, were it not that every role may change settings; this table only its owner can write.
CREATE TABLE ml.trusted_transactions (
    transaction_id xid8 NOT NULL,
    CONSTRAINT trusted_transactions_pkey PRIMARY KEY (transaction_id)
);
COMMENT ON TABLE ml.trusted_transactions IS
    'Transactions whose updates of pattern_events bring scores of their own; a row lives only inside its transaction.';
