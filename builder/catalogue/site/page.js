"use strict";
// Add a copy button to all elements with data-copy. Without this script, the text can be selected.
for (const element of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy " + element.dataset.copy);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(element.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    document.getElementById("status").textContent = button.textContent + ": " + element.dataset.copy;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  element.append(button);
}
