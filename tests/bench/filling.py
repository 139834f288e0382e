"""A service of a year, made in the database: as many members as wanted, each with what there is about one.

Rows are made by INSERT … SELECT from MariaDB's sequence tables; what a row says follows from its number, so
two fillings are alike. Of the members 1 % wait for a reviewer, 5 % were decided by one, 8 % were asked for
another photo; 30 % have an earlier request. Numbers of photos, links and events are those that a daily purge
leaves; it has a day's work to do a day later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from worker.store.tables.schema import tables

_AT_ONCE: Final = 20_000
"""Members of one statement: what a transaction keeps for its rollback stays small."""

# A row for each request. `n` is the member's number; `nth` is 1 for the newest request, 0 for the one before.
_SEED: Final = """
CREATE TABLE seed (
  n INT, nth TINYINT, at DATETIME(6), member_id VARCHAR(64), request_id VARCHAR(64), h CHAR(64),
  state VARCHAR(12), status VARCHAR(12), reason VARCHAR(32), person BOOL, ended DATETIME(6),
  PRIMARY KEY (n, nth)
) CHARACTER SET ascii COLLATE ascii_bin"""
_FILL_SEED: Final = (
    """
INSERT INTO seed
SELECT seq, 1, @now - INTERVAL (@members - seq + 1) * @step SECOND, concat('m', lpad(seq, 8, '0')),
  NULL, sha2(concat('n', seq), 256),
  CASE WHEN seq % 200 = 50 THEN 'dead' WHEN seq > @members - @open THEN 'queued' ELSE 'done' END,
  CASE WHEN seq % 200 = 50 THEN 'error' WHEN seq % 100 = 7 THEN 'review'
    WHEN seq % 100 BETWEEN 30 AND 37 OR seq % 100 = 24 THEN 'retry_photo'
    WHEN seq % 100 = 23 THEN 'rejected' ELSE 'approved' END,
  CASE WHEN seq % 200 = 50 THEN 'internal_error' WHEN seq % 100 = 7 THEN 'primary_unsure'
    WHEN seq % 100 BETWEEN 30 AND 37 THEN 'no_usable_photo'
    WHEN seq % 100 = 24 THEN 'retry_photo_by_person' WHEN seq % 100 = 23 THEN 'rejected_by_person'
    WHEN seq % 100 BETWEEN 20 AND 22 THEN 'approved_by_person' ELSE 'same_person' END,
  seq % 100 BETWEEN 20 AND 24, NULL
FROM seq_1_to_{members} WHERE seq BETWEEN @first AND @last""",
    """
INSERT INTO seed
SELECT n, 0, at - INTERVAL 1 HOUR, member_id, NULL, sha2(concat('e', n), 256),
  IF(n % 30 = 2, 'superseded', 'done'),
  CASE WHEN n % 30 = 2 THEN NULL WHEN n % 10000 = 10 THEN 'approved' ELSE 'retry_photo' END,
  CASE WHEN n % 30 = 2 THEN NULL WHEN n % 10000 = 10 THEN 'same_person' ELSE 'no_usable_photo' END, 0, NULL
FROM seed WHERE nth = 1 AND n % 10 IN (0, 1, 2) AND n BETWEEN @first AND @last""",
    # One in 10,000 has a verdict of the request before: the newest one has failed.
    """
UPDATE seed SET status = 'error', reason = 'photos_not_fetched', state = 'done'
WHERE nth = 1 AND n % 10000 = 10 AND n BETWEEN @first AND @last""",
    """
UPDATE seed SET
  request_id = concat(lower(lpad(hex(floor(unix_timestamp(at) * 1000)), 12, '0')), '-', left(h, 20)),
  ended = IF(state = 'queued', NULL, at + INTERVAL 3 SECOND),
  status = IF(state = 'queued', NULL, status), reason = IF(state = 'queued', NULL, reason),
  person = person AND state = 'done'
WHERE n BETWEEN @first AND @last""",
)
_URL: Final = "concat('https://photos.example.com/', s.member_id, '/{name}.jpg?sig=', left(s.h, 40))"
_SELFIE, _FIRST, _SECOND = (_URL.format(name=name) for name in ("selfie", "1", "2"))
_PHOTO: Final = f"IF(p.seq = 1, {_FIRST}, {_SECOND})"
_SUM: Final = "sha2(concat(s.h, p.seq), 256)"
"""A photo's SHA-256."""
_PHASH: Final = f"cast(cast(conv(left({_SUM}, 16), 16, 10) AS UNSIGNED) AS SIGNED)"
_BAND: Final = "cast(conv(substr({sum}, {at}, 4), 16, 10) AS UNSIGNED)"
_KEPT: Final = "s.at > @now - INTERVAL 180 DAY"
_OF_SEED: Final = "s.n BETWEEN @first AND @last"
_FILL: Final = (
    f"""
INSERT INTO member (member_id, declared_gender, selfie_url, verification_status, same_person, similarity,
  predicted_gender, gender_probability, reason, model_version, verified_at, verified_request_id, request_id,
  requested_state, requested_at, sent_at, training_consent, verification_consent, pending, created_at,
  updated_at, requested_selfie_url, requested_gender, requested_photos, sandbox)
SELECT s.member_id, IF(s.n % 2, 'male', 'female'), {_SELFIE}, v.status, v.status = 'approved', 0.8,
  IF(s.n % 2, 'male', 'female'), 0.98, v.reason, 'base-1', v.ended, IF(v.status IS NULL, NULL, v.request_id),
  s.request_id, s.state, s.at, s.at, s.n % 3 = 0, s.n % 10000 <> 107, 0, s.at - INTERVAL 1 DAY,
  coalesce(s.ended, s.at), {_SELFIE}, IF(s.n % 2, 'male', 'female'), 2, s.n BETWEEN @sandbox AND @sandbox + 19
FROM seed s JOIN seed v ON v.n = s.n AND v.nth = IF(s.n % 10000 = 10, 0, 1)
WHERE s.nth = 1 AND {_OF_SEED}""",
    f"""
INSERT INTO photo (member_id, position, url, created_at, requested_url, requested_position)
SELECT s.member_id, p.seq, {_PHOTO}, s.at, {_PHOTO}, p.seq
FROM seed s JOIN seq_1_to_2 p WHERE s.nth = 1 AND {_OF_SEED}""",
    f"""
INSERT INTO verification (request_id, member_id, why, queue, requested_at, message, has_links, content_hash,
  state, attempts, open_attempts, postponed, sweeps, worker, due_at, accepted_at, started_at, finished_at,
  status, reason, photo, same_person, similarity, predicted_gender, gender_probability, decided_by,
  model_version, policy_version, timings, sandbox)
SELECT s.request_id, s.member_id, 'signup', 'verify', s.at,
  json_object('schema', 1, 'request_id', s.request_id,
    'requested_at', date_format(s.at, '%Y-%m-%dT%H:%i:%sZ'),
    'member_id', s.member_id, 'why', 'signup', 'selfie_url', {_SELFIE},
    'photo_urls', json_array({_FIRST}, {_SECOND}), 'declared_gender', IF(s.n % 2, 'male', 'female')),
  s.at > @now - INTERVAL 30 DAY, s.h, s.state, s.state <> 'queued', 0, 0, 0, 'host-1:1234',
  IF(s.state = 'queued', @now + INTERVAL 30 DAY, NULL), s.at, IF(s.state = 'queued', NULL, s.at), s.ended,
  IF(s.person, 'review', s.status), IF(s.person, 'primary_unsure', s.reason), 1, s.status = 'approved',
  IF(s.status IS NULL OR s.status = 'error', NULL, 0.8), IF(s.n % 2, 'male', 'female'), 0.98,
  IF(s.status IS NULL, NULL, 'machine'), 'base-1', '1', json_object('decode', 11.5, 'embed', 60.25),
  s.n BETWEEN @sandbox AND @sandbox + 19
FROM seed s WHERE {_OF_SEED}""",
    f"""
INSERT INTO verification_photo (request_id, position, outcome, sha256, faces, box_x, box_y, box_width,
  box_height, quality, score, similarity, approve_edge, different_edge, cosines, distances, detail, replay,
  verdict, phash, phash_fine, band_1, band_2, band_3, band_4)
SELECT s.request_id, p.seq, IF(p.seq = 0, 'usable', IF(s.status = 'approved', 'same', 'too_dark')), {_SUM}, 1,
  IF({_KEPT}, 10.5, NULL), IF({_KEPT}, 20.5, NULL), IF({_KEPT}, 200, NULL), IF({_KEPT}, 210, NULL),
  IF({_KEPT}, json_object('sharpness', 120.5, 'yaw', -0.25, 'brightness', 91.5, 'contrast', 44.25), NULL),
  IF({_KEPT}, 0.71, NULL), IF({_KEPT}, 0.83, NULL), IF({_KEPT}, 0.5, NULL), IF({_KEPT}, 0.25, NULL),
  IF({_KEPT}, json_object('sface', 0.62, 'facenet', 0.7), NULL),
  IF({_KEPT}, json_object('sface', 0.87, 'facenet', 0.77), NULL), '', 0,
  IF(p.seq = 0, NULL, IF(s.status = 'approved', 'verified', 'not_verified')), {_PHASH}, {_SUM},
  {", ".join(_BAND.format(sum=_SUM, at=at) for at in (1, 5, 9, 13))}
FROM seed s JOIN seq_0_to_2 p WHERE s.state = 'done' AND {_OF_SEED}""",
    f"""
INSERT INTO result (request_id, member_id, state, status, reason, photo, similarity, decided_by, text_ko,
  text_en, photos, sandbox, requested_at, accepted_at, finished_at, changed_at)
SELECT s.request_id, s.member_id, s.state, s.status, s.reason, 1, 0.8, IF(s.person, 'person', 'machine'),
  '사진을 확인했습니다. 회원님의 사진으로 확인되어 인증이 끝났습니다.',
  'We have looked at your photos. They show you, and you are verified.',
  IF(s.state <> 'done', NULL, json_array(
    json_object('position', 0, 'outcome', 'usable', 'verdict', NULL, 'verified', false, 'similarity', NULL,
      'fault', NULL, 'text_ko', '인증사진은 사용할 수 있습니다.', 'text_en', 'The selfie can be used.'),
    json_object('position', 1, 'outcome', 'same', 'verdict', 'verified', 'verified', true, 'similarity', 0.83,
      'fault', NULL, 'text_ko', '1번 사진은 회원님의 사진입니다.', 'text_en', 'Photo 1 shows you.'),
    json_object('position', 2, 'outcome', 'same', 'verdict', 'verified', 'verified', true, 'similarity', 0.83,
      'fault', NULL, 'text_ko', '2번 사진은 회원님의 사진입니다.', 'text_en', 'Photo 2 shows you.'))),
  s.n BETWEEN @sandbox AND @sandbox + 19, s.at, s.at, s.ended, coalesce(s.ended, s.at)
FROM seed s WHERE {_OF_SEED}""",
    f"""
INSERT INTO event (event_id, type, member_id, request_id, payload, occurred_at, dispatched)
SELECT concat('evt_', left(s.h, 32)), 'verification.completed', s.member_id, s.request_id,
  json_object('type', 'verification.completed', 'timestamp', s.ended, 'data', json_object(
    'member_id', s.member_id, 'request_id', s.request_id, 'state', s.state, 'status', s.status,
    'text', 'We have looked at your photos. They show you, and you are verified.')), s.ended, 1
FROM seed s WHERE s.ended > @now - INTERVAL 30 DAY AND {_OF_SEED} ORDER BY s.n, s.nth""",
    f"""
INSERT INTO review_case (member_id, request_id, cause, priority, unfinished, opened_at, due_at, closed_at,
  second, sandbox, escalated_at, escalated_by, round, attempts, reviewer)
SELECT s.member_id, s.request_id, 'verdict', 1, IF(s.person, NULL, 1), s.ended, s.ended + INTERVAL 1 DAY,
  IF(s.person, s.ended + INTERVAL 6 HOUR, NULL), 0, s.n BETWEEN @sandbox AND @sandbox + 19,
  IF(NOT s.person AND s.n % 5000 = 7, s.ended, NULL), IF(NOT s.person AND s.n % 5000 = 7, 'lee', NULL), 0,
  s.person, NULL
FROM seed s WHERE s.nth = 1 AND (s.person OR s.status = 'review') AND {_OF_SEED}""",
    f"""
INSERT INTO review_vote (case_id, request_id, round, choice, code, photo, voted_by, claimed_at, voted_at,
  decision_id)
SELECT r.id, s.request_id, 0,
  CASE s.status WHEN 'approved' THEN 'approve' WHEN 'rejected' THEN 'reject' ELSE 'new_photo' END,
  'same_person', NULL, concat('reviewer-', s.n % 5), r.closed_at - INTERVAL 1 MINUTE, r.closed_at, 1
FROM seed s JOIN review_case r ON r.member_id = s.member_id
WHERE s.nth = 1 AND s.person AND {_OF_SEED}""",
    f"""
INSERT INTO decision (request_id, status, previous_status, previous_reason, decided_by, decided_at, case_id,
  code)
SELECT s.request_id, s.status, 'review', 'primary_unsure', concat('reviewer-', s.n % 5), r.closed_at, r.id,
  'same_person'
FROM seed s JOIN review_case r ON r.member_id = s.member_id
WHERE s.nth = 1 AND s.person AND {_OF_SEED}""",
    f"""
INSERT INTO objection (objection_id, member_id, way, received_at, due_at, recorded_at, case_id, against)
SELECT concat('o', s.n), s.member_id, 'message', r.opened_at, r.opened_at + INTERVAL 30 DAY, r.opened_at,
  r.id, d.id
FROM seed s JOIN review_case r ON r.member_id = s.member_id JOIN decision d ON d.case_id = r.id
WHERE s.nth = 1 AND s.person AND s.n % 5 = 0 AND {_OF_SEED}""",
    f"""
INSERT INTO label (request_id, position, label, labelled_by, labelled_at, sha256, selfie_sha256, case_id,
  phase)
SELECT s.request_id, p.seq, 'genuine', concat('reviewer-', s.n % 5), r.closed_at, {_SUM}, s.h, r.id, 'blind'
FROM seed s JOIN review_case r ON r.member_id = s.member_id JOIN seq_1_to_2 p
WHERE s.nth = 1 AND s.person AND {_OF_SEED}""",
    f"""
INSERT INTO access_log (member_id, looked_by, way, looked_at, action, host, login)
SELECT s.member_id, IF(p.seq = 0, 'import', 'kim'), IF(p.seq = 0, 'file', 'show'), s.at,
  IF(p.seq = 0, 'import', 'show'), 'desk-1', 'kim'
FROM seed s JOIN seq_0_to_1 p ON p.seq = 0 OR s.person WHERE s.nth = 1 AND {_OF_SEED}""",
    f"""
INSERT INTO consent (member_id, purpose, version, given_at, source)
SELECT s.member_id, 'training', '2026-01', s.at, 'app' FROM seed s
WHERE s.nth = 1 AND s.n % 3 = 0 AND {_OF_SEED}""",
    f"""
INSERT INTO dead_job (reason, error, queue, request_id, member_id, attempts, message_sha256, message_length,
  message_head, created_at, dismissed_at, dismissed_by)
SELECT 'poison', 'three starts without an end', 'verify', s.request_id, s.member_id, 3, s.h, 500,
  IF(s.at > @now - INTERVAL 30 DAY, repeat('x', 500), ''), s.at,
  IF(s.n % 10000 = 50, NULL, s.at + INTERVAL 1 DAY), IF(s.n % 10000 = 50, NULL, 'kim')
FROM seed s WHERE s.nth = 1 AND s.state = 'dead' AND {_OF_SEED}""",
    f"""
INSERT INTO shadow_verdict (request_id, version, status, reason, similarity, decided_status, decided_reason,
  decided_version, judged_at)
SELECT s.request_id, 'challenger-1', 'approved', 'same_person', 0.8, 'approved', 'same_person', 'base-1',
  s.ended
FROM seed s WHERE s.nth = 1 AND s.n % 50 = 1 AND {_KEPT} AND s.state = 'done' AND {_OF_SEED}""",
    f"""
INSERT INTO tombstone (member_hash, forgotten_at)
SELECT sha2(concat('t', s.n), 256), s.at FROM seed s WHERE s.nth = 1 AND s.n % 200 = 3 AND {_OF_SEED}""",
    f"""
INSERT INTO photo_reuse (request_id, position, of_request_id, of_position, same_file)
SELECT s.request_id, 1, o.request_id, 1, 1 FROM seed s JOIN seed o ON o.n = s.n - 1 AND o.nth = 1
WHERE s.nth = 1 AND s.n % 1000 = 999 AND {_OF_SEED}""",
)
_FILL_LAST: Final = (
    "INSERT INTO event_endpoint (endpoint, attempts) VALUES ('app', 1000)",
    # The latest ten wait; of the first there are some that nobody took.
    """
INSERT INTO event_delivery (id, endpoint, member_id, due_at, attempts, delivered_at, parked_at)
SELECT e.id, 'app', e.member_id, IF(e.id > m.last - 10, @now + INTERVAL 30 DAY, NULL), 1,
  IF(e.id > m.last - 10 OR e.id <= 3, NULL, e.occurred_at), IF(e.id <= 3, e.occurred_at, NULL)
FROM event e JOIN (SELECT max(id) AS last FROM event) m""",
    """
INSERT INTO model_version (version, state, manifest, head, head_sha256, created_at, promoted_at)
SELECT name, state, '{}', repeat('x', 500000), sha2(name, 256), @now, IF(state = 'champion', @now, NULL)
FROM (SELECT 'base-1' AS name, 'champion' AS state UNION SELECT 'challenger-1', 'shadow') heads""",
    "DROP TABLE seed",
)


def fill(url: str, members: int, now: datetime, told: Callable[[int], None] = lambda _: None) -> None:
    """Fill the empty tables of a MariaDB; ``told`` hears how many members are there."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")  # whose statements may take minutes
    photos = tables().verification_photo
    with engine.execution_options(no_parameters=True).connect() as c:
        for statement in _settings(members, now):
            c.exec_driver_sql(statement)
        for index in photos.indexes:  # made at the end: its entries are in no order that the rows have
            index.drop(c)
        c.exec_driver_sql(_SEED)
        for first in range(1, members + 1, _AT_ONCE):
            last = min(first + _AT_ONCE - 1, members)
            c.exec_driver_sql(f"SET @first = {first}, @last = {last}")
            for statement in (*_FILL_SEED, *_FILL):
                c.exec_driver_sql(statement.replace("{members}", str(members)))
            told(last)
        for index in photos.indexes:
            index.create(c)
        for statement in _FILL_LAST:
            c.exec_driver_sql(statement)
        for table in sorted(sa.inspect(c).get_table_names()):
            c.exec_driver_sql(f"ANALYZE TABLE {table}").all()
    engine.dispose()


def _settings(members: int, now: datetime) -> Iterator[str]:
    year, queued = 365 * 24 * 3600, 10 + members // 10_000
    yield "SET SESSION foreign_key_checks = 0, unique_checks = 0, time_zone = '+00:00'"
    yield f"SET @now = '{now:%Y-%m-%d %H:%M:%S.%f}', @members = {members}, @step = {year / members}"
    yield f"SET @open = {queued}, @sandbox = {members - queued - 20}"
