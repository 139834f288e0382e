-- What each account may do in our database, and nothing more. For MySQL 8 and MariaDB 10.11.
--
-- Run it as an administrator in our database, after `python -m worker init-db` (which needs an account
-- that may make tables; use it for nothing else) and after every update that adds tables:
--
--   mysql --database=verify < worker/grants.sql
--
-- New accounts are locked. Give each a password and let it in, over TLS only:
--
--   ALTER USER 'verify_worker'@'%' IDENTIFIED BY '...' REQUIRE SSL ACCOUNT UNLOCK;
--
-- With a prefix before our tables' names (VERIFY_TABLE_PREFIX, mapped mode) put it before those of the tables
-- and the views below here as well, and in mapped mode grant the worker, the operator and the console SELECT on the app's member table
-- and UPDATE of its result columns.

CREATE USER IF NOT EXISTS 'verify_worker'@'%' ACCOUNT LOCK;
CREATE USER IF NOT EXISTS 'verify_app'@'%' ACCOUNT LOCK;
CREATE USER IF NOT EXISTS 'verify_operator'@'%' ACCOUNT LOCK;
CREATE USER IF NOT EXISTS 'verify_console'@'%' ACCOUNT LOCK;

-- verify_worker: verify workers, the retrain worker and its sweep and purge. -----------------------
-- It cannot raise or remove a tombstone, nor write down what people said, decided or looked at; a member
-- about whom there is a request or a look cannot be deleted, unless all of it is of the sandbox. It sets
-- verdicts: that is its work.
GRANT SELECT, INSERT, UPDATE, DELETE ON member TO 'verify_worker'@'%';
-- A worker does not start on tables that are older than it is.
GRANT SELECT ON verify_schema_version TO 'verify_worker'@'%';
GRANT SELECT, INSERT, DELETE, UPDATE (url, requested_url, requested_position) ON photo TO 'verify_worker'@'%';
-- All columns but `sandbox`: what is of the sandbox may be deleted, through views. (Given and taken first, for an
-- account that had the whole table.)
GRANT SELECT, INSERT, UPDATE ON verification TO 'verify_worker'@'%';
REVOKE UPDATE ON verification FROM 'verify_worker'@'%';
GRANT UPDATE (request_id, member_id, why, queue, requested_at, message, content_hash, state, attempts, open_attempts,
        postponed, sweeps, worker, problem, lease_until, next_attempt_at, due_at, accepted_at, started_at,
        finished_at, status, reason, photo, same_person, similarity, predicted_gender, gender_probability,
        decided_by, photo_set_hash, model_version, policy_version, timings, machine_status, machine_reason,
        refetch_at, swapped, has_links)
    ON verification TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE label_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE decision_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE review_vote_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE review_case_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE verification_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, DELETE ON TABLE result_of_sandbox TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON verification_photo TO 'verify_worker'@'%';
GRANT SELECT, INSERT ON photo_reuse TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_job TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON model_version TO 'verify_worker'@'%';
GRANT SELECT, INSERT, DELETE ON model_refusal TO 'verify_worker'@'%';
GRANT SELECT, INSERT, DELETE ON shadow_verdict TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON training_run TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON training_member TO 'verify_worker'@'%';
GRANT SELECT, INSERT ON training_face TO 'verify_worker'@'%';
GRANT SELECT ON label TO 'verify_worker'@'%';
GRANT SELECT ON decision TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON review_case TO 'verify_worker'@'%';
GRANT SELECT ON review_vote TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE (case_id) ON objection TO 'verify_worker'@'%';
-- The purge removes the oldest, and takes the IDs of the sandbox's members out; the chain shows any other change.
GRANT SELECT, DELETE, UPDATE (member_id, member_hash) ON access_log TO 'verify_worker'@'%';
GRANT SELECT, UPDATE (anchor_number, anchor_link, anchor_breaks, anchor_seal) ON access_chain TO 'verify_worker'@'%';
GRANT SELECT ON access_review TO 'verify_worker'@'%';
GRANT SELECT, INSERT ON consent TO 'verify_worker'@'%';
GRANT SELECT, UPDATE (withdrawn_at, withdrawn_source) ON TABLE consent_open TO 'verify_worker'@'%';
GRANT SELECT ON tombstone TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON result TO 'verify_worker'@'%';
GRANT SELECT, UPDATE ON TABLE result_decided TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON event TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON event_delivery TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON event_endpoint TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON tally TO 'verify_worker'@'%';
-- Accounts of the console that were closed three years ago go, with the history of their roles.
GRANT SELECT, DELETE ON TABLE staff_account_expired TO 'verify_worker'@'%';
GRANT SELECT, INSERT, UPDATE ON day_tally TO 'verify_worker'@'%';
-- For SELECT ... FOR UPDATE on what it may only read.
GRANT LOCK TABLES ON * TO 'verify_worker'@'%';

-- verify_app: your app, if it writes members itself. -----------------------------------------------
-- It sees the results and cannot set them.
GRANT SELECT, DELETE ON photo TO 'verify_app'@'%';
GRANT INSERT (member_id, position, url, created_at), UPDATE (position, url) ON photo TO 'verify_app'@'%';
GRANT SELECT,
    INSERT (member_id, declared_gender, selfie_url, training_consent, verification_consent, manual, pending, created_at, updated_at),
    UPDATE (declared_gender, selfie_url, training_consent, verification_consent, manual, pending, updated_at)
    ON member TO 'verify_app'@'%';
GRANT SELECT ON result TO 'verify_app'@'%';

-- verify_operator: the commands import, enqueue, show, status, requeue, dismiss, review, consent,
-- forget, unbar, events, models, calibrate, retrain. What people said, decided and looked at can be added and not
-- changed, and so can heads. It cannot `purge`, which deletes from the access log: verify_worker does, each
-- day. What the machine has said it cannot write.
-- Two things go through views, which have the rights of the tables' owner: `review` sets the verdict of a member
-- and the result of a request to what a row of `decision` says, and `forget` deletes what is known of a member whom a row of `tombstone`
-- names, which stays.
GRANT SELECT, DELETE,
    INSERT (member_id, declared_gender, selfie_url, training_consent, verification_consent, pending, created_at, updated_at,
        request_id, requested_at, sent_at, requested_state, requested_selfie_url, requested_gender, requested_photos,
        requested_manual, request_after, sandbox, failed_at),
    UPDATE (declared_gender, selfie_url, training_consent, verification_consent, pending, updated_at, request_id, requested_at, sent_at,
        requested_state, requested_selfie_url, requested_gender, requested_photos, requested_manual, request_after,
        sandbox, failed_at)
    ON member TO 'verify_operator'@'%';
GRANT SELECT, UPDATE ON TABLE member_decided TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE label_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE decision_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE review_vote_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE review_case_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, UPDATE ON TABLE access_log_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE verification_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, INSERT, DELETE, UPDATE (requested_url, requested_position) ON photo TO 'verify_operator'@'%';
GRANT SELECT,
    INSERT (request_id, member_id, why, queue, requested_at, message, content_hash, state, attempts, open_attempts,
        postponed, sweeps, accepted_at, due_at, finished_at, sandbox),
    UPDATE (state, open_attempts, postponed, sweeps, due_at, next_attempt_at, finished_at)
    ON verification TO 'verify_operator'@'%';
GRANT SELECT ON verification_photo TO 'verify_operator'@'%';
GRANT SELECT ON photo_reuse TO 'verify_operator'@'%';
GRANT SELECT, INSERT, UPDATE (requeued_at, dismissed_at, dismissed_by, dismissed_note), DELETE
    ON dead_job TO 'verify_operator'@'%';
GRANT SELECT, INSERT, UPDATE (state, promoted_at, signature) ON model_version TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON model_refusal TO 'verify_operator'@'%';
GRANT SELECT ON shadow_verdict TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON training_run TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON training_member TO 'verify_operator'@'%';
GRANT SELECT (run_id, member_id) ON training_face TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON label TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON decision TO 'verify_operator'@'%';
GRANT SELECT, INSERT, UPDATE (cause, priority, due_at, unfinished, closed_at, escalated_at, escalated_by, round, attempts, reviewer, claimed_at,
        lease_until, looked_at, looked_hash)
    ON review_case TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON review_vote TO 'verify_operator'@'%';
GRANT SELECT, INSERT, UPDATE (case_id) ON objection TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON access_log TO 'verify_operator'@'%';
-- The head of the chain, which each record moves.
GRANT SELECT, INSERT (name), UPDATE (number, link, seal) ON access_chain TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON access_review TO 'verify_operator'@'%';
GRANT SELECT, INSERT ON consent TO 'verify_operator'@'%';
GRANT SELECT, UPDATE (withdrawn_at, withdrawn_source) ON TABLE consent_open TO 'verify_operator'@'%';
GRANT SELECT, INSERT, UPDATE (lifted_at, lifted_by) ON tombstone TO 'verify_operator'@'%';
GRANT SELECT,
    INSERT (request_id, member_id, state, sandbox, requested_at, accepted_at, finished_at, changed_at)
    ON result TO 'verify_operator'@'%';
GRANT SELECT, UPDATE ON TABLE result_decided TO 'verify_operator'@'%';
GRANT SELECT, DELETE ON TABLE result_of_forgotten TO 'verify_operator'@'%';
GRANT SELECT, INSERT, DELETE ON event TO 'verify_operator'@'%';
GRANT SELECT, UPDATE (due_at, attempts, problem, parked_at, delivered_at, first_tried_at)
    ON event_delivery TO 'verify_operator'@'%';
GRANT SELECT, UPDATE (failures, paused_until) ON event_endpoint TO 'verify_operator'@'%';
GRANT SELECT ON tally TO 'verify_operator'@'%';
-- Who is a checker.
GRANT SELECT (id, name, folded, closed_at) ON staff_account TO 'verify_operator'@'%';
GRANT SELECT (id, account_id, role, action) ON staff_grant TO 'verify_operator'@'%';
-- Who erases somebody or puts a request back says of which days the counts are to be counted again.
GRANT SELECT, UPDATE (counted_at, changes) ON day_tally TO 'verify_operator'@'%';
GRANT LOCK TABLES ON * TO 'verify_operator'@'%';

-- verify_console: the review console, `python -m worker console`. -----------------------------------
-- What its pages do: reviews, objections, dead jobs, a retraining that is asked for. A dead job that is put back is
-- accepted like a new one, with its member. It promotes a head that was published and rolls
-- back. It erases nobody, lifts no tombstone, records no consent, publishes and signs no head, sends no event again,
-- and reads no vectors.
GRANT SELECT ON verify_schema_version TO 'verify_console'@'%';
GRANT SELECT,
    INSERT (member_id, declared_gender, selfie_url, training_consent, verification_consent, pending, created_at, updated_at,
        request_id, requested_at, sent_at, requested_state, requested_selfie_url, requested_gender, requested_photos,
        requested_manual, request_after, sandbox, failed_at),
    UPDATE (declared_gender, selfie_url, pending, updated_at, request_id, requested_at, sent_at,
        requested_state, requested_selfie_url, requested_gender, requested_photos, requested_manual, request_after,
        sandbox, failed_at)
    ON member TO 'verify_console'@'%';
GRANT SELECT, UPDATE ON TABLE member_decided TO 'verify_console'@'%';
GRANT SELECT, INSERT, DELETE, UPDATE (requested_url, requested_position) ON photo TO 'verify_console'@'%';
GRANT SELECT,
    INSERT (request_id, member_id, why, queue, requested_at, message, content_hash, state, attempts, open_attempts,
        postponed, sweeps, accepted_at, due_at, finished_at, sandbox),
    UPDATE (state, open_attempts, postponed, sweeps, due_at, next_attempt_at, finished_at)
    ON verification TO 'verify_console'@'%';
GRANT SELECT ON verification_photo TO 'verify_console'@'%';
GRANT SELECT ON photo_reuse TO 'verify_console'@'%';
GRANT SELECT, INSERT, UPDATE (requeued_at, dismissed_at, dismissed_by, dismissed_note)
    ON dead_job TO 'verify_console'@'%';
GRANT SELECT, UPDATE (state, promoted_at) ON model_version TO 'verify_console'@'%';
GRANT SELECT, DELETE ON model_refusal TO 'verify_console'@'%';
GRANT SELECT ON shadow_verdict TO 'verify_console'@'%';
GRANT SELECT, INSERT ON training_run TO 'verify_console'@'%';
GRANT SELECT ON training_member TO 'verify_console'@'%';
GRANT SELECT, INSERT ON label TO 'verify_console'@'%';
GRANT SELECT, INSERT ON decision TO 'verify_console'@'%';
GRANT SELECT, INSERT, UPDATE (cause, priority, due_at, unfinished, closed_at, escalated_at, escalated_by, round, attempts, reviewer, claimed_at,
        lease_until, looked_at, looked_hash)
    ON review_case TO 'verify_console'@'%';
GRANT SELECT, INSERT ON review_vote TO 'verify_console'@'%';
GRANT SELECT, INSERT, UPDATE (case_id) ON objection TO 'verify_console'@'%';
GRANT SELECT, INSERT ON access_log TO 'verify_console'@'%';
GRANT SELECT, INSERT (name), UPDATE (number, link, seal) ON access_chain TO 'verify_console'@'%';
GRANT SELECT, INSERT ON access_review TO 'verify_console'@'%';
GRANT SELECT ON consent TO 'verify_console'@'%';
GRANT SELECT ON tombstone TO 'verify_console'@'%';
GRANT SELECT,
    INSERT (request_id, member_id, state, sandbox, requested_at, accepted_at, finished_at, changed_at)
    ON result TO 'verify_console'@'%';
GRANT SELECT, UPDATE ON TABLE result_decided TO 'verify_console'@'%';
GRANT SELECT, INSERT, DELETE ON event TO 'verify_console'@'%';
GRANT SELECT ON event_delivery TO 'verify_console'@'%';
GRANT SELECT ON event_endpoint TO 'verify_console'@'%';
GRANT SELECT ON tally TO 'verify_console'@'%';
GRANT SELECT, UPDATE (counted_at, changes) ON day_tally TO 'verify_console'@'%';
-- Its people. What was done to an account, a role that was given or taken, can be added and not changed.
GRANT SELECT, INSERT,
    UPDATE (language, signed_in_at, closed_at, invite_hash, invite_until, password, password_at, totp, totp_step, recovery)
    ON staff_account TO 'verify_console'@'%';
GRANT SELECT, INSERT ON staff_grant TO 'verify_console'@'%';
GRANT SELECT, INSERT, UPDATE (seen_at, totp), DELETE ON staff_session TO 'verify_console'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON staff_attempt TO 'verify_console'@'%';
GRANT LOCK TABLES ON * TO 'verify_console'@'%';
