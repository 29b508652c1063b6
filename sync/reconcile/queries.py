"""The queries whose rows are judged: what belongs together, side by side; members that begin with `r_` are kept."""

from __future__ import annotations

from typing import Final

_VERDICT: Final = "v.state AS verdict_state, v.reason_id AS verdict_reason_id, v.reason AS verdict_reason"
_WRITTEN: Final = (
    "l.state AS ledger_state, l.remote_id AS ledger_remote_id, l.total AS ledger_total,"
    " l.currency AS ledger_currency, l.day_digest AS ledger_day_digest, l.record_key AS ledger_record"
)

# What was accepted and written on an invoice, and what waits for a person: its name.
_CORRECTED: Final = """corrected AS (
  SELECT invoice_id,
    sum(amount) FILTER (WHERE state = 'done' AND kind = 'edit' AND way = 'credit_note') AS edits,
    sum(amount) FILTER (WHERE state = 'done' AND way = 'lower_payment') AS lowered,
    sum(amount) FILTER (WHERE state = 'done' AND kind = 'refund' AND way = 'credit_note') AS refunds,
    bool_or(state = 'done' AND kind = 'cancel') AS cancelled,
    min(name) FILTER (WHERE state IN ('proposed', 'accepted', 'writing') AND kind <> 'refund') AS waiting,
    min(name) FILTER (WHERE state = 'refused' AND kind <> 'refund') AS refused
  FROM corrections GROUP BY invoice_id
)"""

INVOICES: Final = f"""
WITH {_CORRECTED}, received AS (
  SELECT order_id, sum(amount) AS amount FROM receipts WHERE decision = 'go' GROUP BY order_id
), refunded AS (
  SELECT order_id, sum(amount) AS amount FROM refunds GROUP BY order_id
), written AS (
  SELECT remote_id, min(key) AS key FROM ledger WHERE entity = 'invoice' AND remote_id IS NOT NULL GROUP BY 1
), numbers AS (
  SELECT invoice_number AS name, min(id) AS order_id FROM orders WHERE invoice_number IS NOT NULL GROUP BY 1
  UNION SELECT marker, min(id) FROM orders WHERE marker IS NOT NULL GROUP BY 1
), alone AS (
  SELECT i.* FROM invoices i WHERE i.inside AND i.id NOT IN (SELECT invoice_id FROM pairs) AND i.state <> 'deleted'
), both_ends AS (
  SELECT o.id AS order_id, q.invoice_id, q.found_by, o.ledger_key FROM orders o LEFT JOIN pairs q ON q.order_id = o.id
  UNION ALL SELECT NULL, a.id, NULL, w.key FROM alone a LEFT JOIN written w ON w.remote_id = a.id
)
SELECT b.order_id, b.invoice_id, b.found_by, o.day, o.currency, o.amount, o.decision, o.reason_id, o.reason, o.test,
  i.state, i.number AS books_number, i.day AS books_day, i.currency AS books_currency, i.amount AS books_amount,
  i.paid AS books_paid, i.client_id, i.marker, p.amount AS source_paid, f.amount AS refunded,
  c.state AS client_state, k.remote_id AS known_client, {_WRITTEN}, {_VERDICT},
  e.edits, e.lowered, e.refunds, coalesce(e.cancelled, false) AS cancelled, e.waiting, e.refused AS correction_refused,
  (SELECT any_value(n.order_id) FROM numbers n WHERE b.order_id IS NULL AND n.name IN (i.number, i.marker)) AS rival,
  (SELECT min(a.number) FROM orders a WHERE b.order_id IS NULL AND a.inside AND a.decision IN ('go', 'hold')
    AND a.id NOT IN (SELECT order_id FROM pairs) AND a.amount = i.amount AND a.currency = i.currency
    AND abs(a.day - i.day) <= 3) AS look_alike,
  coalesce(o.id, i.id) AS r_record, coalesce(o.number, i.number) AS r_number, o.id AS r_order_id,
  o.day AS r_source_day, o.currency AS r_source_currency, o.amount AS r_source_amount,
  coalesce(o.inside, false) AS r_source_inside, i.id AS r_books_id, i.id AS r_invoice_id, i.day AS r_books_day,
  i.currency AS r_books_currency, i.amount AS r_books_amount,
  coalesce(i.inside AND i.state = 'live', false) AS r_books_inside,
  p.amount AS r_source_paid, i.paid AS r_books_paid, b.found_by AS r_found_by
FROM both_ends b
LEFT JOIN orders o ON o.id = b.order_id
LEFT JOIN invoices i ON i.id = b.invoice_id
LEFT JOIN received p ON p.order_id = b.order_id
LEFT JOIN refunded f ON f.order_id = b.order_id
LEFT JOIN corrected e ON e.invoice_id = b.invoice_id
LEFT JOIN clients c ON c.id = i.client_id
LEFT JOIN ledger l ON l.key = b.ledger_key
LEFT JOIN ledger k ON k.key = o.client_key AND k.state = 'confirmed'
LEFT JOIN verdicts v ON v.record_key = 'order:' || b.order_id
ORDER BY coalesce(o.day, i.day), length(coalesce(o.id, i.id)), coalesce(o.id, i.id), i.id"""  # noqa: S608  our own names

PAYMENTS: Final = f"""
WITH {_CORRECTED}, refunded AS (
  SELECT order_id, sum(amount) AS amount FROM refunds GROUP BY order_id
), received AS (
  SELECT order_id, sum(amount) AS amount FROM receipts WHERE decision = 'go' GROUP BY order_id
), written AS (
  SELECT remote_id, min(key) AS key FROM ledger WHERE entity = 'payment' AND remote_id IS NOT NULL GROUP BY 1
), notes AS (
  SELECT note, min(id) AS payment FROM receipts WHERE note IS NOT NULL GROUP BY note
), alone AS (
  SELECT p.* FROM postings p WHERE p.id NOT IN (SELECT posting_id FROM payment_pairs) AND p.state = 'live'
), lowered AS (
  SELECT payment_id, sum(amount) AS amount FROM corrections WHERE state = 'done' AND way = 'lower_payment' GROUP BY 1
), both_ends AS (
  SELECT r.key, q.posting_id, q.found_by, r.key AS ledger_key
  FROM receipts r LEFT JOIN payment_pairs q ON q.key = r.key
  UNION ALL SELECT NULL, a.id, NULL, w.key FROM alone a LEFT JOIN written w ON w.remote_id = a.id
)
SELECT b.key, b.posting_id, b.found_by, r.order_id, r.day, r.currency, r.amount, r.decision, r.reason_id, r.reason,
  p.state, p.day AS books_day, p.currency AS books_currency, p.amount AS books_amount, p.credit,
  p.invoice_id AS books_invoice_id, q.invoice_id, f.amount AS refunded, g.amount AS order_received,
  o.test AS order_test, o.decision AS order_decision, o.reason_id AS order_reason_id,
  coalesce(i.state = 'live', false) AS order_in_books, w.cause AS order_cause, x.cause AS invoice_cause,
  e.amount AS lowered, d.refunds AS refunds_credited,
  {_WRITTEN}, coalesce(v.state, n.state) AS verdict_state,
  CASE WHEN v.state IS NULL THEN n.reason_id ELSE v.reason_id END AS verdict_reason_id,
  CASE WHEN v.state IS NULL THEN n.reason ELSE v.reason END AS verdict_reason,
  CASE WHEN b.key IS NULL THEN m.payment END AS rival,
  coalesce(r.id, p.id) AS r_record, coalesce(o.number, z.number) AS r_number,
  coalesce(r.order_id, y.order_id) AS r_order_id,
  r.day AS r_source_day, r.currency AS r_source_currency, r.amount AS r_source_amount,
  coalesce(r.inside, false) AS r_source_inside, p.id AS r_books_id,
  coalesce(p.invoice_id, q.invoice_id) AS r_invoice_id,
  p.day AS r_books_day, p.currency AS r_books_currency, p.amount AS r_books_amount,
  coalesce(p.inside AND p.state = 'live', false) AS r_books_inside, b.found_by AS r_found_by
FROM both_ends b
LEFT JOIN receipts r ON r.key = b.key
LEFT JOIN postings p ON p.id = b.posting_id
LEFT JOIN orders o ON o.id = r.order_id
LEFT JOIN pairs q ON q.order_id = r.order_id
LEFT JOIN pairs y ON y.invoice_id = p.invoice_id
LEFT JOIN orders z ON z.id = y.order_id
LEFT JOIN invoices i ON i.id = q.invoice_id
LEFT JOIN refunded f ON f.order_id = r.order_id
LEFT JOIN received g ON g.order_id = r.order_id
LEFT JOIN result w ON w.kind = 'invoice' AND w.order_id = r.order_id
LEFT JOIN result x ON x.kind = 'invoice' AND x.invoice_id = p.invoice_id
LEFT JOIN ledger l ON l.key = b.ledger_key
LEFT JOIN notes m ON m.note = p.note
LEFT JOIN lowered e ON e.payment_id = p.id
LEFT JOIN corrected d ON d.invoice_id = p.invoice_id
LEFT JOIN verdicts v ON v.record_key = r.record_key
LEFT JOIN verdicts n ON n.record_key = 'order:' || r.order_id
ORDER BY coalesce(r.day, p.day), length(coalesce(r.id, p.id)), coalesce(r.id, p.id), p.id"""  # noqa: S608  our own names

REFUNDS: Final = f"""
WITH refunded AS (
  SELECT order_id, sum(amount) AS amount FROM refunds GROUP BY order_id
)
SELECT f.id, f.currency, l.state AS ledger_state, {_VERDICT},
  e.name AS proposal, e.state AS proposal_state, coalesce(i.state = 'live', false) AS order_in_books,
  EXISTS (SELECT 1 FROM result s WHERE s.kind IN ('invoice', 'payment') AND s.order_id = f.order_id
    AND s.cause = 'refunded' AND s.status = 'agree') AS lowered,
  f.id AS r_record, o.number AS r_number, f.order_id AS r_order_id, f.day AS r_source_day,
  f.currency AS r_source_currency, f.amount AS r_source_amount, f.inside AS r_source_inside,
  q.invoice_id AS r_invoice_id, l.remote_id AS r_books_id, f.currency AS r_books_currency,
  CASE WHEN l.state = 'confirmed' THEN coalesce(l.total, f.amount) END AS r_books_amount,
  f.day AS r_books_day, coalesce(l.state = 'confirmed', false) AND f.inside AS r_books_inside,
  CASE WHEN l.state = 'confirmed' THEN 'ledger' END AS r_found_by
FROM refunds f
LEFT JOIN orders o ON o.id = f.order_id
LEFT JOIN pairs q ON q.order_id = f.order_id
LEFT JOIN invoices i ON i.id = q.invoice_id
LEFT JOIN ledger l ON l.key = f.ledger_key
LEFT JOIN corrections e ON e.key = f.ledger_key
LEFT JOIN verdicts v ON v.record_key = 'refund:' || f.id
ORDER BY f.day, length(f.id), f.id"""  # noqa: S608  our own names

RESULT_CAUSES: Final = (
    # What is wrong with the payments is why the paid amount differs.
    "UPDATE result SET cause = coalesce((SELECT 'payment: ' || min(p.cause) FROM result p WHERE p.kind = 'payment'"
    " AND p.status IN ('missing', 'different', 'extra')"
    " AND (p.order_id = result.order_id OR p.invoice_id = result.invoice_id)), 'unknown')"
    " WHERE kind = 'invoice' AND cause = ?",
    # What has no leg in the period was read for its causes alone.
    "DELETE FROM result WHERE NOT source_inside AND NOT books_inside AND NOT (kind = 'invoice' AND order_id IS NULL)",
)
"""Run in this order when everything is judged."""
