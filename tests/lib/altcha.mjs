// Solves challenges with the official library: a challenge a line, {counter, payload} a line.
import { createInterface } from 'node:readline';
import { solveChallenge } from 'altcha-lib';
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2';

for await (const line of createInterface({ input: process.stdin })) {
  const challenge = JSON.parse(line);
  const solution = await solveChallenge({ challenge, deriveKey });
  const payload = Buffer.from(JSON.stringify({ challenge, solution })).toString('base64');
  process.stdout.write(`${JSON.stringify({ counter: solution?.counter ?? null, payload })}\n`);
}
