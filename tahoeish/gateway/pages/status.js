// Keeps the status page as it is now: asks for it again, and takes over what is new.

const PERIOD = 2_000;

const button = document.querySelector(".live button");
let held = false;

// Somebody who reads needs it to hold still.
button.hidden = false;
button.addEventListener("click", () => {
  held = !held;
  button.setAttribute("aria-pressed", String(held));
});

function fetchPage() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.timeout = 10 * PERIOD;
    request.addEventListener("loadend", () => resolve(request.status === 200 ? request.response : null));
    request.open("GET", new URL(location.pathname, location.origin));
    request.setRequestHeader("Accept", "text/html");
    request.send();
  });
}

function renew(page) {
  for (const section of document.querySelectorAll("section")) {
    const now = page.getElementById(section.id);
    if (now !== null && now.innerHTML !== section.innerHTML) section.replaceWith(document.adoptNode(now));
  }
}

for (;;) {
  await new Promise((resolve) => setTimeout(resolve, PERIOD));
  if (held || document.hidden) continue;
  const page = await fetchPage();
  document.body.classList.toggle("stale", page === null);
  if (page !== null && !held) renew(page);
}
