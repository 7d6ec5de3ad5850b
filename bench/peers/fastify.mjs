// The peer of bench/intake: what a good Node.js programmer would write in its place. Fastify checks the letter by its JSON schema and the
// key by its digest; every letter is a transaction of its own, and the same key gets the same answer. One process a core.
// WAY=statement sends intake's own statement with one letter, WAY=transaction a statement a row between begin and commit. The database by PGHOST, PGUSER, PGDATABASE;
// PORT, KEY_SHA256, SUBMIT_SQL (a file), POOL (connections a process).
import cluster from 'node:cluster';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';

import Fastify from 'fastify';
import pg from 'pg';

const REGION = 90;
const CLIENT = 'fastify';
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

const LETTER = {
    type: 'object',
    additionalProperties: false,
    required: ['text'],
    properties: {
        text: { type: 'string', minLength: 1, maxLength: 20000 },
        theme: { type: 'string', minLength: 1, maxLength: 64 },
        point: {
            type: 'object',
            additionalProperties: false,
            required: ['lat', 'lon'],
            properties: { lat: { type: 'number', minimum: -90, maximum: 90 }, lon: { type: 'number', minimum: -180, maximum: 180 } },
        },
        address: { type: 'string', maxLength: 500 },
        contact: {
            type: 'object',
            additionalProperties: false,
            properties: {
                name: { type: 'string', maxLength: 200 },
                email: { type: 'string', maxLength: 254 },
                phone: { type: 'string', maxLength: 40 },
            },
        },
        consent: { type: 'string', minLength: 1, maxLength: 32 },
    },
};

/** @param {string | Buffer} data */
const sha256 = (data) => createHash('sha256').update(data).digest();

/** UUIDv7: 48 bits of milliseconds, the rest random. @param {number} ms */
function uuid7(ms) {
    const hex = ms.toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7${randomUUID().slice(15)}`;
}

function accessCode() {
    const digits = Array.from(randomBytes(16), (byte) => ALPHABET[byte & 31]).join('');
    return `${digits.slice(0, 4)}-${digits.slice(4, 8)}-${digits.slice(8, 12)}-${digits.slice(12)}`;
}

/** Everything about a letter that the database does not say. */
function identify(letter, key) {
    const ms = Date.now();
    const code = accessCode();
    return { id: uuid7(ms), us: ms * 1000, code, codeDigest: sha256(code), fingerprint: sha256(JSON.stringify(letter)), requestId: randomBytes(8).toString('hex'), key };
}

// ---- one statement a letter

function statementWay(pool, file) {
    const sql = readFileSync(file, 'utf8');
    const count = Math.max(...Array.from(sql.matchAll(/\$(\d+)/g), (m) => Number(m[1])));
    return async (letter, who) => {
        const one = (value) => [value ?? null];
        const values = [
            REGION, process.pid % 90, one(who.id), one(who.us), one(who.code), one(who.codeDigest), one(CLIENT), one(who.key), one(who.fingerprint),
            one('api'), one('ru'), one('api_key'), one(''), one(who.requestId), one(null), one(letter.text), one(letter.theme), one(letter.point?.lat),
            one(letter.point?.lon), one(letter.address), one(letter.contact?.name), one(letter.contact?.email), one(letter.contact?.phone), one(letter.consent),
        ];
        while (values.length < count) values.push(one(null));
        const { rows } = await pool.query({ name: 'submit', text: sql, values });
        return rows[0];
    };
}

// ---- a statement a row

const PREPARED = {
    number: `select appeal_number($1::smallint, extract(year from $2::timestamptz at time zone 'Europe/Moscow')::integer, nextval('appeal_serial_90')) as number,
        rfc3339($2) as received_at`,
    claim: `insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)
        values ($1, $2, 'appeals', $3, $4, 201, $5, $6) on conflict do nothing returning 1`,
    first: `select fingerprint, status, body from idempotency where region_id = $1 and client = $2 and route = 'appeals' and key = $3`,
    appeal: `insert into appeal (region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, received_at, text,
            point, address, last_seq, last_hash)
        values ($1, $2, $3, $4, 'api', 'captured', 'ru', 'api_key', $5, '', $6, $7, $8, st_setsrid(st_makepoint($9, $10), 4326), $11, 1,
            event_hash('', $1, $2, 1, $7, 'captured', $12, $13)) returning last_hash`,
    event: `insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
        values ($1, $2, 1, $3, 'captured', $4, $5, '', $6)`,
    contact: 'insert into contact (region_id, appeal_id, name, email, phone) values ($1, $2, $3, $4, $5)',
    consent: `insert into consent (region_id, appeal_id, version, lang, given_at) values ($1, $2, $3, 'ru', $4)`,
    outbox: `insert into outbox (region_id, topic, appeal_id, not_before) values ($1, 'route', $2, $3)`,
    count: `insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, received)
        values ($1, ($2::timestamptz at time zone 'Europe/Moscow')::date, 0, 0, 0, $3, 1)
        on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update set received = n.received + excluded.received`,
};

function transactionWay(pool) {
    let slots = 0;
    return async (letter, who) => {
        const db = await pool.connect();
        db.slot ??= (process.pid * 16 + slots++) % 90;
        /** @type {(name: keyof typeof PREPARED, ...values: unknown[]) => Promise<pg.QueryResult>} */
        const run = (name, ...values) => db.query({ name, text: PREPARED[name], values });
        let open = false;
        try {
            const at = new Date(who.us / 1000).toISOString();
            await db.query('begin');
            open = true;
            const { number, received_at: received } = (await run('number', REGION, at)).rows[0];
            const body = JSON.stringify({
                id: who.id, number, code: who.code, status: 'captured', received_at: received, track: `/track?number=${number}&code=${who.code}`,
            });
            const claimed = await run('claim', REGION, CLIENT, who.key, who.fingerprint, body, at);
            if (claimed.rowCount === 0) {
                await db.query('rollback');
                open = false;
                const first = (await run('first', REGION, CLIENT, who.key)).rows[0];
                return first === undefined ? { outcome: 'retry' }
                    : first.fingerprint.equals(who.fingerprint) ? { outcome: 'replayed', status: first.status, body: first.body } : { outcome: 'reused' };
            }
            const detail = JSON.stringify({ channel: 'api', text_sha256: sha256(letter.text).toString('hex'), ...letter.point });
            const actor = `key:${CLIENT}`;
            const hash = (await run('appeal', REGION, who.id, number, who.codeDigest, CLIENT, who.requestId, at, letter.text, letter.point?.lon,
                letter.point?.lat, letter.address, actor, detail)).rows[0].last_hash;
            await run('event', REGION, who.id, at, actor, detail, hash);
            if (letter.contact) await run('contact', REGION, who.id, letter.contact.name, letter.contact.email, letter.contact.phone);
            if (letter.consent) await run('consent', REGION, who.id, letter.consent, at);
            await run('outbox', REGION, who.id, at);
            await run('count', REGION, at, db.slot);
            await db.query('commit');
            open = false;
            return { outcome: 'created', status: 201, body };
        } catch (error) {
            if (open) await db.query('rollback').catch(() => {});
            throw error;
        } finally {
            db.release();
        }
    };
}

// ---- the service

const PROBLEMS = { reused: 422, retry: 409, unknown_theme: 400 };

async function serve() {
    const pool = new pg.Pool({ max: Number(process.env.POOL ?? 16) });
    const store = process.env.WAY === 'transaction' ? transactionWay(pool) : statementWay(pool, process.env.SUBMIT_SQL);
    const app = Fastify({ logger: false });
    app.post('/api/v1/appeals', { schema: { body: LETTER } }, async (request, reply) => {
        const key = request.headers['idempotency-key'];
        if (sha256(String(request.headers['x-api-key'])).toString('hex') !== process.env.KEY_SHA256) {
            return reply.code(401).type('application/problem+json').send({ type: '/problems/unauthorized', status: 401 });
        }
        if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
            return reply.code(400).type('application/problem+json').send({ type: '/problems/idempotency-key-missing', status: 400 });
        }
        const result = await store(request.body, identify(request.body, key));
        if (result.body == null) {
            const status = PROBLEMS[result.outcome] ?? 500;
            return reply.code(status).type('application/problem+json').send({ type: `/problems/${result.outcome}`, status });
        }
        if (result.outcome === 'replayed') reply.header('Idempotency-Replayed', 'true');
        return reply.code(result.status).type('application/json').send(result.body);
    });
    await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT), backlog: 511 });
}

if (cluster.isPrimary) {
    for (let i = 0; i < availableParallelism(); i++) cluster.fork();
    process.on('SIGTERM', () => process.exit(0));
} else {
    await serve();
}
