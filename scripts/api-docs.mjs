#!/usr/bin/env node
// Writes docs/api from docs/openapi.yaml and docs/open311.yaml; with --check only says whether it is in step.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

const pages = [
  ['openapi.yaml', 'README.md'],
  ['open311.yaml', 'open311.md'],
];
/** The document being written about. */
let api;

/** Follows a $ref inside the document. */
const resolve = (node) =>
  node?.$ref ? resolve(node.$ref.slice(2).split('/').reduce((at, step) => at[step], api)) : node;
const cell = (text) => String(text ?? '').trim().replaceAll('|', '\\|').replace(/\s+/g, ' ');
const fence = (value) =>
  ['```json', typeof value === 'string' ? value.trim() : JSON.stringify(value, null, 2), '```', ''];

/** What a value may be, in a few words. */
function kind(schema) {
  const s = resolve(schema) ?? {};
  const variants = s.oneOf ?? s.anyOf;
  if (variants) return variants.map(kind).join(' or ');
  if (s.enum) return s.enum.map((v) => `\`${v}\``).join(', ');
  const bounds = [
    s.minimum !== undefined && `≥ ${s.minimum}`,
    s.maximum !== undefined && `≤ ${s.maximum}`,
    s.minLength && `≥ ${s.minLength} characters`,
    s.maxLength && `≤ ${s.maxLength} characters`,
  ].filter(Boolean);
  const type = [s.type ?? 'any'].flat().join(' or ');
  const name = type === 'array' ? `array of ${kind(s.items)}` : s.format ? `${type} (${s.format})` : type;
  return [name, ...bounds].join(', ');
}

/** Rows of a table of members, nested ones with their path; of a list those of an item. */
function members(schema, prefix = '') {
  const s = resolve(schema?.type === 'array' ? schema.items : schema) ?? {};
  const parts = s.allOf ? s.allOf.map(resolve) : [s];
  return parts.flatMap((part) =>
    Object.entries(part.properties ?? {}).flatMap(([name, value]) => {
      const own = resolve(value);
      const inner = own.properties ? own : (own.oneOf ?? own.anyOf ?? []).map(resolve).find((v) => v.properties);
      const row = `| \`${prefix}${name}\` | ${kind(own)} | ${part.required?.includes(name) ? 'yes' : ''} | ${cell(value.description ?? own.description)} |`;
      return [row, ...(inner ? members(inner, `${prefix}${name}.`) : [])];
    }),
  );
}

function body(title, content) {
  const out = [];
  for (const [type, media] of Object.entries(content ?? {})) {
    const rows = members(media.schema);
    out.push(`${title} \`${type}\``, '');
    if (rows.length) out.push('| Member | Type | Required | |', '|---|---|---|---|', ...rows, '');
    for (const example of Object.values(media.examples ?? {})) out.push(...fence(resolve(example).value));
    if (media.example !== undefined) out.push(...fence(media.example));
  }
  return out;
}

function operation(path, method, op, shared) {
  const parameters = [...(shared ?? []), ...(op.parameters ?? [])].map(resolve);
  const out = [`### ${method.toUpperCase()} ${path}`, '', op.summary ?? '', ''];
  if (op.description) out.push(op.description.trim(), '');
  if (parameters.length)
    out.push('| Parameter | In | Type | Required | |', '|---|---|---|---|---|',
      ...parameters.map((p) => `| \`${p.name}\` | ${p.in} | ${kind(p.schema)} | ${p.required ? 'yes' : ''} | ${cell(p.description)} |`), '');
  for (const sample of op['x-codeSamples'] ?? []) out.push(`${sample.label}:`, '', '```sh', sample.source.trim(), '```', '');
  if (op.requestBody) out.push(...body('Request', resolve(op.requestBody).content));
  out.push('| Status | Meaning |', '|---|---|');
  for (const [status, answer] of Object.entries(op.responses)) out.push(`| ${status} | ${cell(resolve(answer).description)} |`);
  out.push('');
  for (const [status, answer] of Object.entries(op.responses))
    if (status.startsWith('2')) out.push(...body(`Answer ${status}`, resolve(answer).content));
  return out;
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

/** The whole page about a document. */
function pageOf(source) {
  return [
    `# ${api.info.title} ${api.info.version}`, '',
    `Made from [${source}](../${source}) by \`scripts/api-docs.mjs\`; edit that file, not this one.`, '',
    (api.info.description ?? '').trim(), '',
    ...Object.entries(api.paths).flatMap(([path, item]) =>
      methods.filter((m) => item[m]).flatMap((m) => operation(path, m, item[m], item.parameters))),
  ].join('\n').replace(/\n{3,}/g, '\n\n').trimEnd() + '\n';
}

for (const [source, name] of pages) {
  const target = new URL(`../docs/api/${name}`, import.meta.url);
  api = parse(readFileSync(new URL(`../docs/${source}`, import.meta.url), 'utf8'));
  const page = pageOf(source);
  if (!process.argv.includes('--check')) {
    writeFileSync(target, page);
  } else if (!existsSync(target) || readFileSync(target, 'utf8') !== page) {
    console.error(`docs/api/${name} is not in step with docs/${source}: run scripts/api-docs.mjs`);
    process.exitCode = 1;
  }
}
