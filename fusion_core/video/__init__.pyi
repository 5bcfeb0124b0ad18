from .kinds import is_video_name as is_video_name
