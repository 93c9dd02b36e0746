// Run a check and stop the program at the first that fails.

const DEADLINE_MS = 60_000;
let count = 0;

// Runs `check`; whatever it returns is what the step returns.
export async function step(name, check) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    const result = await Promise.race([check(), late]);
    console.log(`ok   ${name}`);
    count += 1;
    return result;
  } catch (error) {
    console.error(`FAIL ${name}: ${error.shortMessage ?? error.message}`);
    if (error.details) console.error(`     ${error.details}`);
    process.exit(1);
  } finally {
    clearTimeout(timer);
  }
}

// The error that `promise` fails with; an error if it does not.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('this should have failed');
}

export function finish() {
  console.log(`${count} checks passed`);
  process.exit(0);
}
