// A client that is not ours, made of the document, does what clients of Open311 do, and tells what it got as one JSON object:
// open311-client.mjs ENDPOINT DOCUMENT KEY FILE.
import { readFileSync } from 'node:fs';
import { OpenAPIClientAxios } from 'openapi-client-axios';
import { parse } from 'yaml';

const [base, document, key, file] = process.argv.slice(2);
const text = 'Яма у дома 5 & «сквер» <b>\r\nвторая строка';
const place = { service_code: 'waste.collection', lat: 57.81234, long: 61.23456 };

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

process.stdout.write(JSON.stringify(await byDocument()));
