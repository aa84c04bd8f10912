"""Pages of the site: the list, one note, a new note, the attachment of a note."""

import posixpath

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from .forms import NoteForm
from .models import Note


@require_safe
def index(request):
    # The count lives in the session, so each visitor has their own.
    request.session["visits"] = request.session.get("visits", 0) + 1
    context = {
        "notes": Note.objects.select_related("author")[:50],
        "visits": request.session["visits"],
    }
    return render(request, "notes/index.html", context)


@require_safe
def detail(request, pk):
    note = get_object_or_404(Note.objects.select_related("author"), pk=pk)
    return render(request, "notes/detail.html", {"note": note})


@login_required
def create(request):
    form = NoteForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        note = form.save(commit=False)
        note.author = request.user
        note.save()
        messages.success(request, "Saved.")
        return redirect(note)
    return render(request, "notes/form.html", {"form": form})


@require_safe
def download(request, pk):
    """Send the attachment; FileResponse hands the open file to wsgi.file_wrapper."""
    note = get_object_or_404(Note, pk=pk)
    if not note.attachment:
        raise Http404("the note has no attachment")
    name = posixpath.basename(note.attachment.name)
    return FileResponse(note.attachment.open("rb"), as_attachment=True, filename=name)
