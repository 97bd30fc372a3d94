// Puts the code of an invitation, which is behind the # of its link and which no server sees, into
// the form. Nothing is sent before somebody presses the button.
const token = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
if (token !== "") document.getElementById("invitation").value = token;
