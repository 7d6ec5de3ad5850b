// Two clients that are not ours do what clients of Open311 do, and tell what they got as one JSON object:
// open311-clients.mjs ENDPOINT DOCUMENT KEY FILE. One is the library for this protocol, the other is made of the document.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { OpenAPIClientAxios } from 'openapi-client-axios';
import { parse } from 'yaml';

const require = createRequire(import.meta.url);
const Open311 = require('open311');
const [base, document, key, file] = process.argv.slice(2);
const text = 'Яма у дома 5 & «сквер» <b>\r\nвторая строка';
const place = { service_code: 'waste.collection', lat: 57.81234, long: 61.23456 };

/** Calls METHOD of the library and waits for it. */
const library = new Open311({ discovery: `${base}/open311/discovery.json`, endpoint: `${base}/open311/v2/`, jurisdiction: '90', apiKey: key });
const call = (method, ...args) =>
  new Promise((resolve, reject) => library[method](...args, (error, data) => (error ? reject(new Error(`${method}: ${data}`)) : resolve(data))));

/** Strangers see a request when a body has it: asks until then, for five seconds. */
async function routed(ask) {
  for (let left = 50; ; left--) {
    try {
      return await ask();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function byLibrary() {
  const discovery = await call('serviceDiscovery');
  const services = await call('serviceList');
  const [receipt] = await call('submitRequest', { ...place, description: `${text} (open311)`, attributes: { 11: ['1', '3'], note: 'a=b&c' } });
  return {
    endpoints: discovery.endpoints.length,
    services: services.length,
    number: receipt.service_request_id,
    shown: (await routed(() => call('serviceRequest', receipt.service_request_id)))[0],
    listed: (await call('serviceRequests', { service_code: 'waste.collection' })).length,
    several: (await call('serviceRequests', [receipt.service_request_id])).length,
  };
}

async function byDocument() {
  const definition = parse(readFileSync(document, 'utf8'));
  definition.servers = [{ url: base }];
  const client = await new OpenAPIClientAxios({ definition, axiosConfigDefaults: { headers: { 'X-Api-Key': key } } }).init();
  const json = { format: 'json' };
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...place, description: `${text} (document)` })) form.append(name, String(value));
  form.append('attribute[11]', '1');
  form.append('attribute[11]', '3');
  form.append('media', new Blob([readFileSync(file)], { type: 'application/pdf' }), 'во дворе.pdf');
  const [receipt] = (await client.postRequest(json, form)).data;
  const number = receipt.service_request_id;
  return {
    jurisdictions: (await client.discover(json)).data.jurisdictions.length,
    services: (await client.listServices(json)).data.length,
    number,
    shown: (await client.getRequest({ ...json, service_request_id: number, extensions: 'true' })).data[0],
    listed: (await client.listRequests({ ...json, service_code: 'waste.collection' })).data.length,
    updates: (await client.listUpdates(json)).data.filter((update) => update.service_request_id === number).length,
  };
}

process.stdout.write(JSON.stringify({ library: await byLibrary(), document: await byDocument() }));
