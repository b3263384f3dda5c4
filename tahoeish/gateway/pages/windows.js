// Which files a window is sending, told to the others. Browsers have that only over TLS, or for a node on the same
// machine; elsewhere nobody is known to send anything.

const { locks } = navigator;
const nameOf = (uploads, identity) => `tahoeish upload ${JSON.stringify([uploads, identity])}`;

/** Do it while others know of it. `lost` is called if another window has begun to do the same. */
export async function whileTold(uploads, identity, work, lost) {
  if (locks === undefined) return work();
  let working = null;
  try {
    return await locks.request(nameOf(uploads, identity), { steal: true }, () => (working = work()));
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    lost();
    return working;
  }
}

export async function isSentElsewhere(uploads, identity) {
  const { held } = (await locks?.query()) ?? { held: [] };
  return held.some(({ name }) => name === nameOf(uploads, identity));
}

/** Until no window sends it any more. */
export async function untilNobodySends(uploads, identity) {
  await locks?.request(nameOf(uploads, identity), () => {});
}
