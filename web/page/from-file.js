// A page that was opened as a file: browsers load no modules from there, and nothing else would say so.

if (location.protocol === "file:") {
  const alert = document.getElementById("alert");
  alert.textContent =
    "This page works from a web server, not as a file. Put its folder on any web host, or run " +
    "python -m http.server in the folder and open http://localhost:8000.";
  alert.hidden = false;
  document.getElementById("intake").hidden = true;
}
