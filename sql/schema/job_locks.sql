-- One row for each job that must not run twice at a time: whoever has locked the row is running the job.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- Rows and not advisory locks, which every role could hold and so stop the jobs unseen.

CREATE TABLE ml.job_locks (
    job text NOT NULL,
    CONSTRAINT job_locks_pkey PRIMARY KEY (job)
);
COMMENT ON TABLE ml.job_locks IS
    'One row for each job that must not run twice at a time: whoever has locked the row is running the job.';

INSERT INTO ml.job_locks (job) VALUES
('roll_up'), ('alerts'), ('tick'), ('nightly'), ('retention'), ('drift'), ('performance'), ('partitions');
