// Keeps the device's key in this browser. The key itself never leaves WebCrypto.

const DATABASE = "cloudcard", STORE = "device";

function opened() {
  return new Promise((resolve, reject) => {
    const asking = indexedDB.open(DATABASE, 1);
    asking.onupgradeneeded = () => asking.result.createObjectStore(STORE);
    asking.onsuccess = () => resolve(asking.result);
    asking.onerror = () => reject(asking.error);
  });
}

async function within(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const asking = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(asking.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? asking.error);
    });
  } finally {
    database.close();
  }
}

export const kept = (name) => within("readonly", (store) => store.get(name));
export const keep = (name, value) => within("readwrite", (store) => store.put(value, name));
export const forget = () => within("readwrite", (store) => store.clear());
