CREATE TABLE attempt (
	key TEXT NOT NULL,
	n INTEGER NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	request TEXT NOT NULL,
	response TEXT,
	outcome TEXT NOT NULL,
	PRIMARY KEY (key, n)
);
CREATE TABLE connection (
	name TEXT NOT NULL,
	state TEXT NOT NULL,
	reason TEXT,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE cursor (
	connection TEXT NOT NULL,
	stream TEXT NOT NULL,
	position TEXT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (connection, stream)
);
CREATE TABLE inbox (
	seq BIGSERIAL NOT NULL,
	source TEXT NOT NULL,
	delivery_id TEXT NOT NULL,
	event TEXT NOT NULL,
	entity TEXT NOT NULL,
	record_id TEXT NOT NULL,
	record_key TEXT NOT NULL,
	number TEXT,
	lane_key TEXT NOT NULL,
	body TEXT NOT NULL,
	raw_sha256 TEXT NOT NULL,
	version TEXT,
	received_at DOUBLE PRECISION NOT NULL,
	state TEXT NOT NULL,
	fate TEXT,
	reasons TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	claims INTEGER NOT NULL,
	due DOUBLE PRECISION NOT NULL,
	waits_for TEXT,
	settled_at DOUBLE PRECISION,
	PRIMARY KEY (seq),
	UNIQUE (delivery_id)
);
CREATE INDEX inbox_lane ON inbox (lane_key, state, seq);
CREATE INDEX inbox_record ON inbox (record_key, seq);
CREATE INDEX inbox_state_seq ON inbox (state, seq);
CREATE INDEX inbox_waits_for ON inbox (waits_for);
CREATE TABLE lane (
	key TEXT NOT NULL,
	owner TEXT,
	until DOUBLE PRECISION NOT NULL,
	fence BIGINT NOT NULL,
	seq BIGINT,
	PRIMARY KEY (key)
);
CREATE TABLE ledger (
	key TEXT NOT NULL,
	entity TEXT NOT NULL,
	record_key TEXT NOT NULL,
	state TEXT NOT NULL,
	phase TEXT NOT NULL,
	remote_id TEXT,
	body_hash TEXT,
	content_hash TEXT,
	source_version TEXT,
	spec_fingerprint TEXT,
	total TEXT,
	currency TEXT,
	detail TEXT NOT NULL,
	created_at DOUBLE PRECISION NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (key)
);
CREATE INDEX ledger_record ON ledger (record_key);
CREATE INDEX ledger_state ON ledger (entity, state);
CREATE TABLE note (
	record_key TEXT NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	message TEXT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (record_key, kind, subject)
);
CREATE TABLE record (
	key TEXT NOT NULL,
	entity TEXT NOT NULL,
	id TEXT NOT NULL,
	lane_key TEXT NOT NULL,
	version TEXT,
	payload TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	seen_at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (key)
);
CREATE TABLE schema_version (
	version SERIAL NOT NULL,
	PRIMARY KEY (version)
);
CREATE TABLE sign_in (
	connection TEXT NOT NULL,
	person TEXT,
	account_id TEXT,
	account_name TEXT,
	redirect_uri TEXT,
	scopes TEXT,
	expires_at DOUBLE PRECISION,
	renewed_at DOUBLE PRECISION,
	signed_in_at DOUBLE PRECISION,
	PRIMARY KEY (connection)
);
CREATE TABLE spec (
	fingerprint TEXT NOT NULL,
	name TEXT NOT NULL,
	text TEXT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (fingerprint)
);
CREATE TABLE token (
	connection TEXT NOT NULL,
	sealed TEXT,
	PRIMARY KEY (connection)
);
CREATE TABLE webhook (
	name TEXT NOT NULL,
	system TEXT NOT NULL,
	state TEXT NOT NULL,
	detail TEXT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	until DOUBLE PRECISION,
	PRIMARY KEY (name)
);
CREATE INDEX webhook_state ON webhook (system, state);
INSERT INTO schema_version (version) VALUES (1);
