"use strict";
// Adds a button that copies to everything with data-copy. Without this script the text can be selected.
for (const place of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy " + place.dataset.copy);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(place.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    document.getElementById("said").textContent = button.textContent + ": " + place.dataset.copy;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  place.append(button);
}
